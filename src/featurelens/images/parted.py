"""Resizing a part of a picture in one go, by Pillow."""

from __future__ import annotations

import numpy as np
from PIL import Image

from featurelens.images.fit import Interpolation
from featurelens.shapes import UInt8

Pixels = UInt8[np.ndarray, "row col *rgb"]  # grey or RGB
Fitted = UInt8[np.ndarray, "fit_row fit_col *rgb"]
PILLOW = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


def resized_part(
    picture: Image.Image | Pixels,
    size: tuple[int, int],
    method: Interpolation,
    box: tuple[float, float, float, float],
) -> Fitted:
    """What lies in `box` (left, top, right, bottom) of a grey or RGB picture, at `size` (width, height)."""
    image = Image.fromarray(picture) if isinstance(picture, np.ndarray) else picture
    return np.asarray(image.resize(size, PILLOW[method], box=box))


def size_of(picture: Image.Image | Pixels) -> tuple[int, int]:
    """Width and height."""
    return picture.shape[1::-1] if isinstance(picture, np.ndarray) else picture.size
