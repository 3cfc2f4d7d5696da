"""From a picture of any size to the rectangle of a `Fit`, by the arithmetic of timm and torchvision."""

from __future__ import annotations

import math
from dataclasses import dataclass

from PIL import Image

from featurelens.images.fit import Fit
from featurelens.images.quick import resized, resized_part

Box = tuple[float, float, float, float]
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
    image: Image.Image,
    fit: Fit,
    *,
    size: tuple[int, int] | None = None,
    valid: Box | None = None,
    exact: bool,
) -> Image.Image:
    """`image` at `fit.rows` x `fit.cols`: resized and cut in one go, or with `exact` one after the other.

    The one go computes only what the crop keeps, and quicker; apart from rounding between its two passes it is the same.
    An `image` that was decoded smaller comes with the `size` (width, height) of the original, which decides
    the geometry, and the rectangle `valid` that the original's edges have in it. Where `crop_pct` is above 1
    the rim is black.
    """
    width, height = size or image.size
    new_width, new_height = resized_size(width, height, fit)
    across, down = _axis(new_width, fit.cols), _axis(new_height, fit.rows)
    if exact and new_width * new_height <= _WHOLE_LIMIT:
        whole = resized(image, (new_width, new_height), fit.interpolation)
        cut = whole.crop(
            (across.start, down.start, across.start + across.length, down.start + down.length),
        )
    else:
        left, top, right, bottom = valid or (0.0, 0.0, float(width), float(height))
        box = (
            *_part(left, right, across, new_width),
            *_part(top, bottom, down, new_height),
        )
        part = box[0], box[2], box[1], box[3]
        cut = resized_part(image, (across.length, down.length), fit.interpolation, part, pillow=exact)
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
