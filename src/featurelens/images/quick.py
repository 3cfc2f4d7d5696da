"""Resizing a part of a picture in one go: by cykooz_resizer where it is installed, otherwise by Pillow.

Both compute the same sums of weighted pixels (Pillow's first across, then down; cykooz_resizer's the other way round)
and differ by the rounding in between. cykooz_resizer is about five times as fast; it has no wheel for some machines,
such as Linux on ARM, and `featurelens doctor` tells.
"""

from __future__ import annotations

from typing import Any

from PIL import Image

from featurelens.images.fit import Interpolation

try:
    import cykooz_resizer as cykooz
except ImportError:
    cykooz: Any = None

QUICK = cykooz is not None
_PILLOW = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
_OTHER = {"bilinear": "bilinear", "bicubic": "catmull_rom", "lanczos": "lanczos3"}
_COPIED = 1 << 24  # pixels; larger pictures are not copied once more


def resized(image: Image.Image, size: tuple[int, int], method: Interpolation) -> Image.Image:
    """The whole of `image` at `size` (width, height), by Pillow."""
    return image.resize(size, _PILLOW[method])


def resized_part(
    image: Image.Image,
    size: tuple[int, int],
    method: Interpolation,
    box: tuple[float, float, float, float],
    *,
    pillow: bool = False,
) -> Image.Image:
    """What lies in `box` (left, top, right, bottom) of a picture, at `size` (width, height)."""
    if (
        pillow
        or cykooz is None
        or method not in _OTHER
        or image.mode not in ("L", "RGB")
        or image.width * image.height > _COPIED
    ):
        return image.resize(size, _PILLOW[method], box=box)
    kind = cykooz.PixelType.U8 if image.mode == "L" else cykooz.PixelType.U8x3
    left, top, right, bottom = box
    options = cykooz.ResizeOptions(
        resize_alg=cykooz.ResizeAlg.convolution(cykooz.FilterType[_OTHER[method]]),
        crop_box=cykooz.CropBox(left, top, right - left, bottom - top),
        use_alpha=False,
    )
    target = cykooz.ImageData(*size, kind)
    cykooz.Resizer().resize(cykooz.ImageData(*image.size, kind, image.tobytes()), target, options)
    return Image.frombytes(image.mode, size, target.get_buffer())
