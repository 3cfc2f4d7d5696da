"""Small grey prints of images, flattened so that light, tint and compression hardly change them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import Image

from featurelens.images.decode import DEFAULT_MAX_PIXELS, Source, decode
from featurelens.images.fit import Fit
from featurelens.shapes import Float32

SIDE = 64  # a print has about SIDE x SIDE pixels, in the picture's own proportions
FINE = 160  # its finer sister, where the picture has as many
LONGEST = 2.25  # of its sides; a longer picture is squeezed to this, and so are its copies
_BLUR, _SPREAD = 3.0, 5.0  # pixels: what is smooth over the first is taken away, over the second evened out
_FLOOR = 6.0  # grey levels of 255: weaker detail is noise and stays weak


@dataclass(frozen=True, eq=False)
class Print:
    """Grey levels [row, col] of the whole picture, also finer, and its width over its height before any squeezing."""

    grey: Float32[np.ndarray, "row col"]
    fine: Float32[np.ndarray, "rows cols"]
    aspect: float

    def mirrored(self) -> Print:
        """The print of the mirrored picture."""
        grey, fine = (np.ascontiguousarray(one[:, ::-1]) for one in (self.grey, self.fine))
        return Print(grey, fine, self.aspect)


def print_of(
    source: Source, *, size: tuple[int, int] | None = None, max_pixels: int = DEFAULT_MAX_PIXELS
) -> Print:
    """The print of an image; `size` is its (width, height) if known. Raises ImageError as `decode` does.

    >>> print_of(np.zeros((300, 400, 3), np.uint8)).grey.shape
    (55, 74)
    """
    if size is None:
        pixels = decode(source, max_pixels=max_pixels).pixels
        source, size = pixels, (pixels.shape[1], pixels.shape[0])
    aspect = size[0] / size[1]
    rows, cols = shape_of(aspect, min(FINE, max(SIDE, math.sqrt(size[0] * size[1]))))
    fit = Fit(rows, cols, mode="squash", crop_pct=1.0, interpolation="bilinear")
    pixels = decode(source, fit=fit, max_pixels=max_pixels).pixels
    fine = pixels.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    return Print(resized(fine, *shape_of(aspect)), fine, aspect)


def shape_of(aspect: float, side: float = SIDE) -> tuple[int, int]:
    """(rows, cols) of about side x side pixels in these proportions."""
    root = math.sqrt(min(max(aspect, 1 / LONGEST), LONGEST))
    return max(4, round(side / root)), max(4, round(side * root))


def resized(grey: Float32[np.ndarray, "row col"], rows: int, cols: int) -> Float32[np.ndarray, "rows cols"]:
    """The grey levels at another size, averaged where it is smaller."""
    if grey.shape == (rows, cols):
        return grey
    return np.asarray(Image.fromarray(grey).resize((cols, rows), Image.Resampling.BILINEAR))


def flattened(grey: Float32[np.ndarray, "row col"]) -> Float32[np.ndarray, "row col"]:
    """Local detail over local contrast: about zero on average and of length about one wherever there is texture."""
    down, across = (_smoother(length, _BLUR) for length in grey.shape)
    detail = grey - down @ grey @ across.T
    down, across = (_smoother(length, _SPREAD) for length in grey.shape)
    return detail / (np.sqrt(np.maximum(down @ (detail * detail) @ across.T, 0)) + np.float32(_FLOOR))


@cache
def _smoother(length: int, width: float) -> Float32[np.ndarray, "length length"]:
    """Gaussian smoothing along one axis as a matrix; at the rim it takes what there is."""
    at = np.arange(length)
    weights = np.exp(-0.5 * ((at[:, None] - at[None]) / width) ** 2)
    return (weights / weights.sum(1, keepdims=True)).astype(np.float32)
