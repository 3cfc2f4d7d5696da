"""How an image of any size becomes the fixed rectangle that a backbone takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Mode = Literal["crop", "squash"]
Interpolation = Literal["nearest", "bilinear", "bicubic", "lanczos"]


@dataclass(frozen=True)
class Fit:
    """The resize rule of a backbone: target size in pixels, how to reach it, how to interpolate.

    `crop`: resize so that the short side is `size / crop_pct`, then cut the centre (timm's and
    torchvision's evaluation rule). `squash`: the same without keeping the aspect ratio (timm's squash);
    with `crop_pct=1.0` nothing is cut off.
    """

    rows: int = 224
    cols: int = 224
    mode: Mode = "crop"
    crop_pct: float = 0.875
    interpolation: Interpolation = "bicubic"
