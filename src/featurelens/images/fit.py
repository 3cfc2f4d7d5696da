"""How an image of any size becomes the fixed rectangle that a backbone takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from featurelens.errors import InvalidInput

Mode = Literal["crop", "squash"]
Interpolation = Literal["nearest", "bilinear", "bicubic", "lanczos"]


@dataclass(frozen=True)
class Fit:
    """The resize rule of a backbone: target size in pixels, how to reach it, how to interpolate.

    `crop`: resize so that the short side is `size / crop_pct`, then cut the centre (timm's and
    torchvision's evaluation rule). `squash`: the same without keeping the aspect ratio (timm's squash);
    with `crop_pct=1.0` nothing is cut off. Raises InvalidInput for a rule that is none.
    """

    rows: int = 224
    cols: int = 224
    mode: Mode = "crop"
    crop_pct: float = 0.875
    interpolation: Interpolation = "bicubic"

    def __post_init__(self) -> None:
        whole = all(isinstance(side, int) and side >= 1 for side in (self.rows, self.cols))
        if not whole or not isinstance(self.crop_pct, int | float) or not 0 < self.crop_pct < float("inf"):
            raise InvalidInput(
                f"Images of {self.rows} x {self.cols} with crop_pct {self.crop_pct!r} cannot be made; expected whole "
                "numbers of pixels and a share above 0, e.g. 224, 224 and 0.875."
            )
        for name, given, known in (
            ("mode", self.mode, get_args(Mode)),
            ("interpolation", self.interpolation, get_args(Interpolation)),
        ):
            if given not in known:
                raise InvalidInput(f"{name} is {given!r}; expected one of {', '.join(known)}.")
