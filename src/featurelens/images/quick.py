"""Resizing a part of a picture in one go: by cykooz_resizer where it is installed, otherwise by Pillow.

Both compute the same sums of weighted pixels (Pillow's first across, then down; cykooz_resizer's the other way round)
and differ by the rounding in between. cykooz_resizer is about five times as fast; it has no wheel for some machines,
such as Linux on ARM, and `featurelens doctor` tells.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image

from featurelens.images.fit import Interpolation
from featurelens.shapes import UInt8

try:
    import cykooz_resizer as cykooz
except ImportError:
    cykooz: Any = None

Pixels = UInt8[np.ndarray, "row col *rgb"]  # grey or RGB
Fitted = UInt8[np.ndarray, "fit_row fit_col *rgb"]
QUICK = cykooz is not None
PILLOW = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
_OTHER = {"bilinear": "bilinear", "bicubic": "catmull_rom", "lanczos": "lanczos3"}
_COPIED = 1 << 24  # pixels; larger pictures are not copied once more


def resized_part(
    picture: Image.Image | Pixels,
    size: tuple[int, int],
    method: Interpolation,
    box: tuple[float, float, float, float],
) -> Fitted:
    """What lies in `box` (left, top, right, bottom) of a grey or RGB picture, at `size` (width, height)."""
    cols, rows = size_of(picture)
    if cykooz is None or method not in _OTHER or rows * cols > _COPIED:
        image = Image.fromarray(picture) if isinstance(picture, np.ndarray) else picture
        return np.asarray(image.resize(size, PILLOW[method], box=box))
    pixels = np.asarray(picture)
    kind = cykooz.PixelType.U8 if pixels.ndim == 2 else cykooz.PixelType.U8x3
    left, top, right, bottom = box
    options = cykooz.ResizeOptions(
        resize_alg=cykooz.ResizeAlg.convolution(cykooz.FilterType[_OTHER[method]]),
        crop_box=cykooz.CropBox(left, top, right - left, bottom - top),
        use_alpha=False,
    )
    target = cykooz.ImageData(*size, kind)
    cykooz.Resizer().resize(cykooz.ImageData(cols, rows, kind, pixels.tobytes()), target, options)
    return np.frombuffer(target.get_buffer(), np.uint8).reshape(size[1], size[0], *pixels.shape[2:])


def size_of(picture: Image.Image | Pixels) -> tuple[int, int]:
    """Width and height."""
    return picture.shape[1::-1] if isinstance(picture, np.ndarray) else picture.size
