"""From a few channels of a map to one unit vector per image: means, or outlines in their places."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from featurelens.nn.cells import CELL, DIRECTIONS
from featurelens.shapes import Float

SIZE = 128
GRID = SIZE // CELL


class Peaks(nn.Module):
    """Generalised means of each map, cubes inside (GeM: Radenović et al. 2019), at length one; maps one after the other."""

    def __init__(self, *channels: int) -> None:
        super().__init__()
        self.channels, self.width = channels, sum(channels)

    def forward(self, maps: Float[Tensor, "batch channel row col"]) -> Float[Tensor, "batch value"]:
        cubes = maps.clamp(min=1e-3) ** 3
        means = cubes.mean((2, 3)) ** (1 / 3)
        return torch.cat([unit(one) for one in means.split(self.channels, 1)], 1)


class Outline(nn.Module):
    """Oriented gradients of 8 × 8 pixels in their places, twice blurred; image and mirror image added together."""

    mirror: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.width = DIRECTIONS * 4 * GRID * GRID
        self.register_buffer("mirror", torch.tensor([-k % DIRECTIONS for k in range(DIRECTIONS)]), False)

    def forward(self, maps: Float[Tensor, "batch channel row col"]) -> Float[Tensor, "batch value"]:
        fine = F.pixel_shuffle(maps, 2)
        fine = fine + fine.flip(3)[:, self.mirror]
        for _ in range(2):
            fine = F.avg_pool2d(F.pad(fine, (1, 1, 1, 1), mode="replicate"), 3, 1)
        return rooted(fine.flatten(1))


def unit(values: Float[Tensor, "batch value"]) -> Float[Tensor, "batch value"]:
    """Rows of length one; zeros stay zeros."""
    return values / (values.square().sum(1, keepdim=True) + 1e-6).sqrt()


def rooted(values: Float[Tensor, "batch value"]) -> Float[Tensor, "batch value"]:
    """Signed roots, which keep large values from drowning the others, at length one."""
    return unit(values.sign() * (values.abs() + 1e-6).sqrt())
