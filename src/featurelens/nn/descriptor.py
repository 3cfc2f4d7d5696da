"""The embedded backbone's network: a timm trunk and hand-made measurements on one map, encoded branch by branch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from featurelens.nn.cells import CELL, DIRECTIONS, OrientedGradients
from featurelens.nn.encoders import Outline, Peaks, unit
from featurelens.nn.fisher import Fisher
from featurelens.nn.patches import SUB, ColourPatches, GradientPatches
from featurelens.shapes import Float

STAGES = (-3, -2)  # of the trunk's last three, of strides 8, 16 and 32
DETAIL = (
    2.0**-12
)  # what the embedding alone is made of stays small in the map, so that cells are compared by the rest


class Branch(nn.Module):
    """A slice of the map's channels → the encoder's unit vector → centred, projected, unit length, weighted."""

    mean: Tensor
    projection: Tensor

    def __init__(self, channels: slice, encoder: Any, dim: int, weight: float) -> None:
        super().__init__()
        self.channels, self.encoder, self.weight = channels, encoder, weight
        self.register_buffer("mean", torch.zeros(encoder.width))
        self.register_buffer("projection", torch.zeros(encoder.width, min(dim, encoder.width)))

    def encoded(self, maps: Float[Tensor, "batch channel row col"]) -> Float[Tensor, "batch value"]:
        """The unit vector before the projection."""
        return self.encoder(maps[:, self.channels] / DETAIL)

    def forward(self, maps: Float[Tensor, "batch channel row col"]) -> Float[Tensor, "batch dim"]:
        return self.weight * unit((self.encoded(maps) - self.mean) @ self.projection)


class Descriptor(nn.Module):
    """Normalised pixels → `features`, a map of learned and hand-made channels → `pool`, the embedding.

    The map holds what a cell looks like (a middle stage of the trunk, mean outlines, gradients and colours), and behind
    it, small, the details of the cell that the embedding is made of. `trunk` is a timm network made with
    `features_only=True` and `out_indices=STAGES`: of strides 8 and 16. It sees the image at half and at three quarters
    of its size, below and above the one that it was trained at. `plan` gives each branch (deep, outline, gradients,
    colours) its length and its weight.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, trunk: nn.Module, *, mean: Sequence[float], std: Sequence[float],
        plan: dict[str, tuple[int, float]],
    ) -> None:  # fmt: skip
        super().__init__()
        self.trunk = trunk
        self.register_buffer("mean", torch.tensor(mean)[:, None, None], False)
        self.register_buffer("std", torch.tensor(std)[:, None, None], False)
        self.outlines, self.gradients, self.colours = OrientedGradients(), GradientPatches(), ColourPatches()
        middle, deep = _channels(trunk)
        encoders: dict[str, tuple[int, nn.Module]] = {
            "deep": (2 * deep, Peaks(deep, deep)),
            "outline": (4 * DIRECTIONS, Outline()),
            "gradients": (self.gradients.channels, Fisher(self.gradients)),
            "colours": (self.colours.channels, Fisher(self.colours)),
        }
        seen = middle + DIRECTIONS + len(self.gradients.mirror) + len(self.colours.mirror)
        self.branches, at = nn.ModuleDict(), seen
        for name, (width, encoder) in encoders.items():
            self.branches[name] = Branch(slice(at, at + width), encoder, *plan[name])
            at += width

    def features(
        self, x: Float[Tensor, "batch 3 row col"]
    ) -> Float[Tensor, "batch channel cell_row cell_col"]:
        """All measurements on one grid of 16-pixel cells."""
        cells = x.shape[2] // CELL, x.shape[3] // CELL
        middle, fine = (
            F.interpolate(m, size=cells, mode="bilinear")
            for m in self.trunk(F.interpolate(x, scale_factor=0.75, mode="bilinear"))
        )
        coarse = F.interpolate(self.trunk(F.avg_pool2d(x, 2))[1], size=cells, mode="nearest")
        x01 = x * self.std + self.mean
        halves, tiles = self.outlines(x01), [p.measure(x01) for p in (self.gradients, self.colours)]
        seen = (middle, F.avg_pool2d(halves, 2), *(F.avg_pool2d(t, SUB) for t in tiles))
        details = (coarse, fine, F.pixel_unshuffle(halves, 2), *(F.pixel_unshuffle(t, SUB) for t in tiles))
        return torch.cat((*seen, DETAIL * torch.cat(details, 1)), 1)

    def pool(self, maps: Float[Tensor, "batch channel cell_row cell_col"]) -> Float[Tensor, "batch dim"]:
        """The branches' unit vectors, weighted, one after the other."""
        return torch.cat([branch(maps) for branch in self.branches.values()], 1)

    def forward(self, x: Float[Tensor, "batch 3 row col"]) -> Float[Tensor, "batch dim"]:
        return self.pool(self.features(x))


def _channels(trunk: Any) -> list[int]:
    return trunk.feature_info.channels()
