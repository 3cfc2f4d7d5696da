"""Change a backbone: fine-tune it, or pretrain it without labels."""
