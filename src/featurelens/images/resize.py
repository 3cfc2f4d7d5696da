"""Applying a backbone's Fit: the evaluation transforms of torchvision and timm, on Pillow images."""

from __future__ import annotations

import math

from PIL import Image

from featurelens.images.fit import Fit

_FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


def resized_size(width: int, height: int, fit: Fit) -> tuple[int, int]:
    """(width, height) after the resize and before the crop, rounded as torchvision's Resize does."""
    if fit.mode == "squash":
        return fit.cols, fit.rows
    if fit.rows == fit.cols:
        short = math.floor(fit.rows / fit.crop_pct)
        if width <= height:
            return short, int(short * height / width)
        return int(short * width / height), short
    wanted_cols, wanted_rows = math.floor(fit.cols / fit.crop_pct), math.floor(fit.rows / fit.crop_pct)
    scale = max(wanted_cols / width, wanted_rows / height)
    return max(round(width * scale), wanted_cols), max(round(height * scale), wanted_rows)


def apply_fit(
    image: Image.Image, fit: Fit, *, exact: bool, like: tuple[int, int] | None = None
) -> Image.Image:
    """The RGB image as the fit's rectangle.

    `exact`: resize the whole, then crop, as torchvision does it. Otherwise the crop box is resized alone,
    the same up to rounding. `like` is the original (width, height) of an image that was decoded smaller.
    """
    width, height = resized_size(*(like or image.size), fit)
    method = _FILTERS[fit.interpolation]
    left, top = round((width - fit.cols) / 2), round((height - fit.rows) / 2)
    if exact:
        whole = image.resize((width, height), method)
        return whole.crop((left, top, left + fit.cols, top + fit.rows))
    if (width, height) == image.size == (fit.cols, fit.rows):
        return image
    across, down = image.width / width, image.height / height
    box = (
        left * across,
        top * down,
        min((left + fit.cols) * across, image.width),
        min((top + fit.rows) * down, image.height),
    )
    return image.resize((fit.cols, fit.rows), method, box=box)
