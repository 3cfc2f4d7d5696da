"""Pages and services on a gallery."""
