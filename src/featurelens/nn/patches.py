"""Local descriptors on a dense grid: gradients as in SIFT, and colours, of overlapping patches of two sizes."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from featurelens.nn.cells import CELL
from featurelens.shapes import Float

TILE = 4  # pixels; a patch has 4 × 4 tiles, and there is one every 8 pixels
SIDE = 4
SUB = CELL // TILE


class Patches(nn.Module):
    """Measures tiles of 4 pixels, and reads descriptors of patches out of a map that holds 16 tiles in a cell.

    A descriptor, of 4 × 4 tiles of 4 or of 8 pixels, is reduced to `dim` principal components, each even or odd under
    mirroring: the mirrored patch has the same components times `sign`. Subclasses say what is measured in a tile,
    and where each measurement lies in the mirror.
    """

    basis: Tensor
    mean: Tensor
    sign: Tensor
    mirror: tuple[int, ...]

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim, self.channels = dim, len(self.mirror) * SUB * SUB
        self.register_buffer("basis", torch.zeros(dim, len(self.mirror), SIDE, SIDE))
        self.register_buffer("mean", torch.zeros(dim, 1, 1))
        self.register_buffer("sign", torch.ones(dim), False)

    def measure(
        self, x01: Float[Tensor, "batch 3 row col"]
    ) -> Float[Tensor, "batch value tile_row tile_col"]:
        """What is measured in each tile of 4 pixels."""
        raise NotImplementedError

    def joined(
        self, tiles: Float[Tensor, "batch value tile_row tile_col"]
    ) -> Float[Tensor, "batch value half_row half_col"]:
        """The measurements of tiles of twice the size."""
        return F.avg_pool2d(tiles, 2)

    def compared(
        self,
        tiles: Float[Tensor, "batch value tile_row tile_col"],
        kernels: Float[Tensor, "dim value 4 4"],
        step: int,
    ) -> Float[Tensor, "batch dim row col"]:
        """Products of the descriptors, `step` tiles apart, with `kernels`."""
        return F.conv2d(tiles, kernels, stride=step)

    def grids(
        self, maps: Float[Tensor, "batch channel cell_row cell_col"], kernels: Float[Tensor, "dim value 4 4"]
    ) -> list[Float[Tensor, "batch dim row col"]]:
        """Products of the descriptors of small and of large patches with `kernels`."""
        tiles = F.pixel_shuffle(maps, SUB)
        both = (tiles, 2), (self.joined(tiles), 1)
        return [self.compared(F.pad(t, (1, 1, 1, 1), mode="replicate"), kernels, step) for t, step in both]

    def descriptors(
        self, maps: Float[Tensor, "batch channel cell_row cell_col"]
    ) -> tuple[Float[Tensor, "batch patch dim"], Float[Tensor, "patch 2"]]:
        """Every patch's components, and the places of all patches (x and y, from -.5 to .5)."""
        grids, places = self.grids(maps, self.basis), []
        for grid in grids:
            lines = [(torch.arange(n, device=grid.device) + 0.5) / n - 0.5 for n in grid.shape[2:]]
            y, x = torch.meshgrid(*lines, indexing="ij")
            places.append(torch.stack((x.flatten(), y.flatten()), 1))
        found = torch.cat([(g - self.mean).flatten(2) for g in grids], 2).transpose(1, 2)
        return found, torch.cat(places)

    def reflection(self) -> Tensor:
        """Where each value of a descriptor is found in that of the mirrored patch."""
        places = torch.arange(self.basis[0].numel()).view(self.basis.shape[1:])
        return places[list(self.mirror)].flip(2).flatten()

    def fit(self, rows: Float[Tensor, "row value"]) -> None:
        """Set mean and components from whole descriptors, taken with their mirror images."""
        there, rows = self.reflection(), rows.double()
        mean, spread = rows.mean(0), torch.cov(rows.mT, correction=0)
        spread = (spread + spread[there][:, there]) / 2
        same = torch.eye(len(there), dtype=rows.dtype)
        parts = []
        for sign in (1.0, -1.0):
            half = (same + sign * same[there]) / 2
            values, axes = torch.linalg.eigh(half @ spread @ half)
            parts += [(float(v), sign, axis) for v, axis in zip(values, axes.mT, strict=True)]
        kept = sorted(parts, key=lambda part: -part[0])[: self.dim]
        basis = torch.stack([axis for _, _, axis in kept])
        self.basis.copy_(basis.view_as(self.basis))
        self.mean.copy_((basis @ (mean + mean[there]) / 2)[:, None, None])
        self.sign.copy_(torch.tensor([sign for _, sign, _ in kept]))


class GradientPatches(Patches):
    """Gradients in eight directions per tile, of a patch of unit length, square root (Lowe 2004; Arandjelović 2012)."""

    mirror = tuple((4 - k) % 8 for k in range(8))
    directions: Tensor

    def __init__(self, dim: int = 48) -> None:
        super().__init__(dim)
        angles = torch.arange(8) * (math.pi / 4)
        self.register_buffer(
            "directions", torch.stack((angles.cos(), angles.sin()), 1)[:, :, None, None], False
        )

    def measure(self, x01: Tensor) -> Tensor:
        """Gradient strength by direction; a gradient at angle t counts for direction d with cos³(t - d)."""
        padded = F.pad(x01.mean(1, keepdim=True), (1, 1, 1, 1), mode="replicate")
        gx = padded[:, :, 1:-1, 2:] - padded[:, :, 1:-1, :-2]
        gy = padded[:, :, 2:, 1:-1] - padded[:, :, :-2, 1:-1]
        shorter = (gx * gx + gy * gy + 1e-6) ** (-1 / 3)  # the cube then has the length of the gradient
        along = F.relu(F.conv2d(torch.cat((gx * shorter, gy * shorter), 1), self.directions))
        return 4 * F.avg_pool2d(along * along * along, TILE)

    def compared(self, tiles: Tensor, kernels: Tensor, step: int) -> Tensor:
        """The descriptors are roots of patches of unit length; what has hardly any contrast stays small."""
        length = (F.avg_pool2d(tiles.square().sum(1, keepdim=True), SIDE, step) * SIDE**2 + 1e-4).sqrt()
        return F.conv2d((tiles + 1e-6).sqrt(), kernels, stride=step) / length.sqrt()


class ColourPatches(Patches):
    """Mean and spread of luma, red-green and blue-yellow per tile (local colour statistics: Clinchant et al. 2007)."""

    mirror = tuple(range(6))
    opponent: Tensor

    def __init__(self, dim: int = 48) -> None:
        super().__init__(dim)
        matrix = torch.tensor([[1 / 3, 1 / 3, 1 / 3], [1.0, -1.0, 0.0], [0.5, 0.5, -1.0]])
        self.register_buffer("opponent", matrix[:, :, None, None], False)

    def measure(self, x01: Tensor) -> Tensor:
        """Mean and standard deviation of each colour axis."""
        colours = F.conv2d(x01, self.opponent)
        return _moments(F.avg_pool2d(colours, TILE), F.avg_pool2d(colours * colours, TILE))

    def joined(self, tiles: Tensor) -> Tensor:
        """Spreads are joined as squares: what lies within tiles, and between them."""
        mean, spread = tiles.chunk(2, 1)
        return _moments(F.avg_pool2d(mean, 2), F.avg_pool2d(mean * mean + spread * spread, 2))


def _moments(mean: Tensor, square: Tensor) -> Tensor:
    """Means, and standard deviations behind them."""
    return torch.cat((mean, ((square - mean * mean).clamp(min=0) + 1e-5).sqrt()), 1)
