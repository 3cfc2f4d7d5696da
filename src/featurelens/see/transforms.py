"""Small random changes of the view, its own for each picture and step, so that nothing but a stable form pays."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from featurelens.errors import InvalidInput
from featurelens.shapes import Float

_DRAWS = 5  # random numbers for one view: scale, angle, two shifts, crop


@dataclass(frozen=True)
class Views:
    """How each view of a picture is taken; shares are of the picture's side, views have the picture's size.

    `jitter`: largest shift. `scale`: smallest and largest enlargement. `rotate`: largest turn in degrees.
    `pad`: how far a view reaches beyond the border, where the picture goes on mirrored. `crop`: smallest and
    largest share of the side that a view shows, anywhere inside. `noise`: standard deviation of noise on top.
    `count`: views of each picture in one step.
    Raises InvalidInput for values that make no view.
    """

    jitter: float = 0.06
    scale: tuple[float, float] = (0.9, 1.1)
    rotate: float = 8.0
    pad: float = 0.0
    crop: tuple[float, float] = (1.0, 1.0)
    noise: float = 0.0
    count: int = 1

    def __post_init__(self) -> None:
        low, high = self.scale
        small, large = self.crop
        fine = 0 < low <= high and 0 < small <= large <= 1 and self.count >= 1
        if not (fine and min(self.jitter, self.rotate, self.pad, self.noise) >= 0):
            raise InvalidInput(
                f"{self} makes no view: scale needs 0 < smallest <= largest, crop 0 < smallest <= largest <= 1, "
                "count at least 1, the others at least 0."
            )

    def matrices(
        self, streams: Sequence[torch.Generator], steps: int
    ) -> Float[Tensor, "picture step view 2 3"]:
        """From a view's coordinates to the picture's (both -1 to 1), for all steps, each picture by its own stream."""
        drawn = torch.stack([torch.rand(steps, self.count, _DRAWS, generator=one) for one in streams])
        scale, angle, right, down, crop = drawn.unbind(-1)
        low, high = self.scale
        share = self.crop[0] + (self.crop[1] - self.crop[0]) * crop
        zoom = share * (1 + 2 * self.pad) / (low * (high / low) ** scale)
        turn = (2 * angle - 1) * math.radians(self.rotate)
        # A side is 2 long in these coordinates; a crop may lie anywhere inside, jitter comes on top.
        shift = 2 * self.jitter + (1 - share)
        right, down = (2 * right - 1) * shift, (2 * down - 1) * shift
        cos, sin = zoom * turn.cos(), zoom * turn.sin()
        rows = [torch.stack([cos, -sin, right], -1), torch.stack([sin, cos, down], -1)]
        return torch.stack(rows, -2)


STILL = Views(jitter=0.0, scale=(1.0, 1.0), rotate=0.0)


def look(
    x01: Float[Tensor, "picture 3 row col"], matrices: Float[Tensor, "picture view 2 3"]
) -> Float[Tensor, "picture_view 3 row col"]:
    """Views of pictures in one resampling (bilinear); beyond its border a picture goes on as in a mirror.

    The views of one picture follow one another.
    """
    count, size = matrices.shape[1], x01.shape[1:]
    if count > 1:
        x01 = x01.repeat_interleave(count, dim=0)
    rows, cols = size[1:]
    theta = matrices.flatten(0, 1).to(x01)
    if rows != cols:  # a turn must not shear a picture that is not square
        theta = theta.clone()
        theta[:, 0, 1] *= rows / cols
        theta[:, 1, 0] *= cols / rows
    grid = F.affine_grid(theta, [len(x01), *size], align_corners=False)
    return F.grid_sample(x01, grid, "bilinear", "reflection", align_corners=False)
