"""The reader of images: `decode` in the form that every modality has."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image

from featurelens.images.decode import DEFAULT_MAX_PIXELS, decode
from featurelens.images.fit import Fit
from featurelens.images.formats import sniff
from featurelens.images.item import Item
from featurelens.images.kinds import why_not


class ImageReader:
    """Every image is one part: its pixels, fitted."""

    piecewise = False
    dtype = np.dtype(np.uint8)

    def __init__(self, fit: Fit, *, exact: bool = False, max_pixels: int = DEFAULT_MAX_PIXELS) -> None:
        self._fit, self._exact, self._max_pixels = fit, exact, max_pixels
        self.shape = (fit.rows, fit.cols, 3)

    def sniff(self, head: bytes) -> str | None:
        """The format that these first bytes tell, or None."""
        return sniff(head)

    def why_not(self, head: bytes) -> str:
        """Why a file that begins like this is not read."""
        return why_not(head)

    def read(self, source: Any) -> Item:
        """The fitted pixels of anything that `decode` takes; ImageError if it can't be read."""
        found = decode(source, fit=self._fit, exact=self._exact, max_pixels=self._max_pixels)
        return Item((found.pixels,), found.width, found.height, found.format)

    def picture(self, source: Any, side: int) -> Image.Image:
        """The image itself, its longer side at most `side` pixels."""
        image = Image.fromarray(decode(source, max_pixels=self._max_pixels).pixels)
        image.thumbnail((side, side), Image.Resampling.BILINEAR, reducing_gap=2.0)
        return image
