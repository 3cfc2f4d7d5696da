"""Small documented building blocks, each with its paper."""
