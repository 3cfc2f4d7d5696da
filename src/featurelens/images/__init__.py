"""Images: finding, decoding and fitting them."""

from __future__ import annotations

from featurelens.images.batches import Batch, in_batches
from featurelens.images.decode import DEFAULT_MAX_PIXELS, Decoded, decode
from featurelens.images.find import Found, find_files
from featurelens.images.fit import Fit
from featurelens.images.formats import sniff

__all__ = [
    "DEFAULT_MAX_PIXELS",
    "Batch",
    "Decoded",
    "Fit",
    "Found",
    "decode",
    "find_files",
    "in_batches",
    "sniff",
]
