"""Images: finding, decoding and fitting them."""
