"""The fast path: JPEG decoded by simplejpeg, smaller than it is where the target allows.

libjpeg leaves out the high frequencies of each 8 x 8 block and gives M/8 of the size. It samples on the grid
of the original (chroma included), so there is no shift as long as the true edge, `width * M / 8`, and not the
rounded-up width of the decoded picture, is taken for the picture's edge: `Scaled.valid` says where it lies.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import numpy as np
import simplejpeg

from featurelens.errors import ImageError
from featurelens.images.fit import Fit
from featurelens.images.resize import resized_size
from featurelens.shapes import UInt8

_ENOUGH = 1.4  # sizes over the target's below which 1/4 and 1/8 would be seen
_MAX_SCANS = 500  # progressive files of honest cameras and encoders have about ten


@dataclass(frozen=True)
class Scaled:
    """A decoded JPEG, grey or RGB, not yet turned upright: the true (width, height) in its pixels may be fractions."""

    pixels: UInt8[np.ndarray, "row col *rgb"]
    valid: tuple[float, float]


def scale(width: int, height: int, fit: Fit | None) -> int:
    """Eighths at which to decode a `width` x `height` JPEG: 8, or 4, 2, 1 where at least `fit`'s size is left.

    Half size is taken as soon as the picture is twice the target (before cropping); a quarter and an eighth
    only if 1.4 times the target remains. Other scales exist, but libjpeg-turbo has no fast code for them.

    >>> scale(500, 375, Fit()), scale(800, 600, Fit()), scale(4000, 3000, Fit())
    (8, 4, 1)
    """
    if fit is None:
        return 8
    new_width, new_height = resized_size(width, height, fit)
    ratio = min(width / new_width, height / new_height)
    for eighths, enough in ((1, _ENOUGH), (2, _ENOUGH), (4, 1.0)):
        if ratio * eighths / 8 >= enough:
            return eighths
    return 8


def decode_scaled(data: bytes, width: int, height: int, *, grey: bool, eighths: int) -> Scaled | None:
    """Decode `data`; None if simplejpeg stumbles over something that Pillow may forgive.

    Raises ImageError if a part of the picture data is missing: Pillow would silently leave the rest grey.
    """
    shape = math.ceil(height * eighths / 8), math.ceil(width * eighths / 8)
    try:
        pixels: np.ndarray = simplejpeg.decode_jpeg(
            data, colorspace="GRAY" if grey else "RGB", min_height=shape[0], min_width=shape[1]
        )
    except ValueError as error:
        _raise_if_lost(str(error), len(data))
        return None
    if pixels.shape[:2] != shape:
        return None
    return Scaled(pixels[..., 0] if grey else pixels, (width * eighths / 8, height * eighths / 8))


def check_complete(data: bytes, *, cmyk: bool) -> None:
    """Raises ImageError if a part of `data` is missing; costs little, because only an eighth is computed."""
    try:
        simplejpeg.decode_jpeg(data, colorspace="CMYK" if cmyk else "RGB", min_height=1, min_width=1)
    except ValueError as error:
        _raise_if_lost(str(error), len(data))


def _raise_if_lost(message: str, size: int) -> None:
    """libjpeg's warnings that mean a lost part of the picture; the others (a few stray bytes ...) are harmless."""
    stray = re.search(r"(\d+) extraneous bytes", message)
    if "premature end" in message.lower() or (stray and int(stray[1]) > size // 10):
        raise ImageError("the JPEG file is damaged or cut short: a part of its picture data is missing")


def check_scans(data: bytes) -> None:
    """Raises ImageError for a progressive file made to keep the decoder busy for hours."""
    if data.count(b"\xff\xda") > _MAX_SCANS:
        raise ImageError(
            f"a progressive JPEG with more than {_MAX_SCANS} passes, as made to exhaust a decoder"
        )
