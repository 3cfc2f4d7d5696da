"""The embedded backbone's network: a timm trunk and hand-made cells on one map, pooled and whitened per branch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from featurelens.nn.cells import CELL, DIRECTIONS, Colours, OrientedGradients, Parts
from featurelens.shapes import Float

SIZE = 128
GRID = SIZE // CELL


def regions(names: str) -> Float[Tensor, "region cell"]:
    """Pooling weights over the cells: `whole`, `centre`, `quarters` or `cells` (each for itself); `+` joins."""
    line = (torch.arange(GRID) + 0.5) / GRID * 2 - 1
    y, x = torch.meshgrid(line, line, indexing="ij")
    rows: list[Tensor] = []
    for name in names.split("+"):
        if name == "whole":
            rows.append(torch.ones(GRID, GRID))
        elif name == "centre":
            rows.append(torch.exp(-(x * x + y * y) / 0.35))
        elif name == "quarters":
            rows += [((x * a > -0.1) & (y * b > -0.1)).float() for a in (-1, 1) for b in (-1, 1)]
        else:
            rows += list(torch.eye(GRID * GRID).view(-1, GRID, GRID))
    stacked = torch.stack(rows).flatten(1)
    return stacked / stacked.sum(1, keepdim=True)


class Branch(nn.Module):
    """A slice of the map's channels → regions → signed root → unit length → centred, projected, unit length."""

    pooling: Tensor
    mean: Tensor
    projection: Tensor

    def __init__(self, channels: slice, where: str, dim: int, *, root: bool = True) -> None:
        super().__init__()
        self.channels, self.root, self.weight = channels, root, 1.0
        self.register_buffer("pooling", regions(where), False)
        width = (channels.stop - channels.start) * len(self.pooling)
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("projection", torch.zeros(width, min(dim, width)))

    def pooled(self, maps: Float[Tensor, "batch channel row col"]) -> Float[Tensor, "batch value"]:
        """The unit vector before the projection."""
        cells = maps[:, self.channels].flatten(2)
        values = (cells @ self.pooling.mT).flatten(1)
        if self.root:
            values = values.sign() * (values.abs() + 1e-6).sqrt()
        return values / (values.square().sum(1, keepdim=True) + 1e-6).sqrt()

    def forward(self, maps: Float[Tensor, "batch channel row col"]) -> Float[Tensor, "batch dim"]:
        values = (self.pooled(maps) - self.mean) @ self.projection
        return self.weight * values / (values.square().sum(1, keepdim=True) + 1e-6).sqrt()


class Descriptor(nn.Module):
    """Normalised pixels → `features`, a map of learned and hand-made channels → `pool`, the embedding.

    `trunk` is a timm network made with `features_only=True` whose last two stages have strides 16 and 32.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, trunk: nn.Module, *, mean: Sequence[float], std: Sequence[float], plan: dict[str, tuple[str, int]],
        weights: dict[str, float],
    ) -> None:  # fmt: skip
        super().__init__()
        self.trunk = trunk
        self.register_buffer("mean", torch.tensor(mean)[:, None, None], False)
        self.register_buffer("std", torch.tensor(std)[:, None, None], False)
        self.gradients, self.colours, self.parts = OrientedGradients(), Colours(), Parts()
        middle, deep = _channels(trunk)[-2:]
        widths = {
            "middle": middle, "deep": deep, "shape": DIRECTIONS,
            "parts": len(self.parts.centres), "colour": len(self.colours.centres),
        }  # fmt: skip
        self.branches, at = nn.ModuleDict(), 0
        for name, width in widths.items():
            where, dim = plan[name]
            branch = Branch(slice(at, at + width), where, dim)
            branch.weight = weights[name]
            self.branches[name] = branch
            at += width

    def features(
        self, x: Float[Tensor, "batch 3 row col"]
    ) -> Float[Tensor, "batch channel cell_row cell_col"]:
        """All measurements on one grid of 16-pixel cells."""
        middle, deep = self.trunk(x)[-2:]
        x01 = x * self.std + self.mean
        fine = self.gradients(x01)
        deep = F.interpolate(deep, scale_factor=2.0, mode="nearest")
        return torch.cat((middle, deep, F.avg_pool2d(fine, 2), self.parts(fine), self.colours(x01)), 1)

    def pool(self, maps: Float[Tensor, "batch channel cell_row cell_col"]) -> Float[Tensor, "batch dim"]:
        """The branches' unit vectors, weighted, one after the other."""
        return torch.cat([branch(maps) for branch in self.branches.values()], 1)

    def forward(self, x: Float[Tensor, "batch 3 row col"]) -> Float[Tensor, "batch dim"]:
        return self.pool(self.features(x))


def _channels(trunk: Any) -> list[int]:
    return trunk.feature_info.channels()
