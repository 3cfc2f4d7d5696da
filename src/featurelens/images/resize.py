"""From a picture of any size to the rectangle of a `Fit`, by the arithmetic of timm and torchvision."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image

from featurelens.images.fit import Fit
from featurelens.shapes import UInt8

Box = tuple[float, float, float, float]  # left, top, right, bottom
Pixels = UInt8[np.ndarray, "row col *rgb"]  # grey or RGB
Fitted = UInt8[np.ndarray, "fit_row fit_col *rgb"]
PILLOW = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
_WHOLE_LIMIT = 50_000_000  # pixels; a very long picture is cut before, not after, it is enlarged


@dataclass(frozen=True)
class _Axis:
    """One axis of the crop: `length` pixels from `start` of the resized picture, put at `pad` of the target."""

    start: int
    length: int
    pad: int


def resized_size(width: int, height: int, fit: Fit) -> tuple[int, int]:
    """(width, height) of the whole picture after resizing and before cropping, as timm's eval transform has it.

    >>> resized_size(640, 480, Fit())  # 224 / 0.875 = 256 for the short side
    (341, 256)
    """
    # a crop_pct written as a ratio (224/232) may miss its whole number by a rounding error
    rows, cols = (max(1, math.floor(side / fit.crop_pct + 1e-6)) for side in (fit.rows, fit.cols))
    if fit.mode == "squash":
        return cols, rows
    if rows == cols:  # torchvision.transforms.Resize(int)
        short, long = sorted((width, height))
        other = max(1, int(rows * long / short))
        return (rows, other) if width <= height else (other, rows)
    ratio = min(height / rows, width / cols)  # timm's ResizeKeepRatio
    return max(1, round(width / ratio)), max(1, round(height / ratio))


def resize(
    picture: Image.Image | Pixels, fit: Fit, *, size: tuple[int, int] | None = None, valid: Box | None = None
) -> Fitted:
    """A grey or RGB picture at `fit.rows` x `fit.cols`, resized and cut in one go: only what the crop keeps is computed.

    Pixels that were decoded smaller come with the `size` (width, height) of the original, which decides
    the geometry, and the rectangle `valid` that the original's edges have in them. Where `crop_pct` is above 1
    the rim is black.
    """
    image = Image.fromarray(picture) if isinstance(picture, np.ndarray) else picture
    width, height = size or image.size
    new_width, new_height = resized_size(width, height, fit)
    across, down = _axis(new_width, fit.cols), _axis(new_height, fit.rows)
    left, top, right, bottom = valid or (0.0, 0.0, float(width), float(height))
    x, y = _part(left, right, across, new_width), _part(top, bottom, down, new_height)
    box = (x[0], y[0], x[1], y[1])
    cut = np.asarray(image.resize((across.length, down.length), PILLOW[fit.interpolation], box=box))
    if cut.shape[:2] == (fit.rows, fit.cols):
        return cut
    target = np.zeros((fit.rows, fit.cols, *cut.shape[2:]), np.uint8)
    target[down.pad : down.pad + down.length, across.pad : across.pad + across.length] = cut
    return target


def resize_exactly(image: Image.Image, fit: Fit) -> Image.Image:
    """`image` resized, then cut, by Pillow: what timm's and torchvision's transforms give, bit for bit.

    Only a very long picture is cut while it is enlarged: whole it would be too large.
    """
    new_width, new_height = resized_size(*image.size, fit)
    across, down = _axis(new_width, fit.cols), _axis(new_height, fit.rows)
    method = PILLOW[fit.interpolation]
    if new_width * new_height <= _WHOLE_LIMIT:
        whole = image.resize((new_width, new_height), method)
        cut = whole.crop(
            (across.start, down.start, across.start + across.length, down.start + down.length),
        )
    else:
        x = _part(0.0, float(image.width), across, new_width)
        y = _part(0.0, float(image.height), down, new_height)
        cut = image.resize((across.length, down.length), method, box=(x[0], y[0], x[1], y[1]))
    if cut.size == (fit.cols, fit.rows):
        return cut
    target = Image.new(cut.mode, (fit.cols, fit.rows))
    target.paste(cut, (across.pad, down.pad))
    return target


def _axis(resized: int, target: int) -> _Axis:
    """torchvision's center_crop: round half to even, pad with the smaller half first."""
    if resized < target:
        return _Axis(0, resized, (target - resized) // 2)
    return _Axis(round((resized - target) / 2.0), target, 0)


def _part(low: float, high: float, axis: _Axis, resized: int) -> tuple[float, float]:
    step = (high - low) / resized
    return low + axis.start * step, min(high, low + (axis.start + axis.length) * step)
