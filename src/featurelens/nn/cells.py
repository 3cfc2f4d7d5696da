"""Hand-made measurements on a grid of cells: oriented gradients, colours, parts. Fixed, differentiable, exportable."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from featurelens.shapes import Float

CELL = 16  # pixels
DIRECTIONS = 9


class OrientedGradients(nn.Module):
    """Gradient energy in nine directions per 8 × 8 pixels, normalised by its neighbourhood (HOG: Dalal & Triggs 2005).

    Directions are soft: a gradient at angle t counts for direction d with cos⁴(t − d); signs do not matter.
    """

    directions: Tensor

    def __init__(self) -> None:
        super().__init__()
        angles = torch.arange(DIRECTIONS) * (math.pi / DIRECTIONS)
        self.register_buffer(
            "directions", torch.stack((angles.cos(), angles.sin()), 1)[:, :, None, None], False
        )

    def forward(
        self, x01: Float[Tensor, "batch 3 row col"]
    ) -> Float[Tensor, "batch direction cell_row cell_col"]:
        x = (x01 + 1e-3).sqrt()
        padded = F.pad(x, (1, 1, 1, 1), mode="replicate")
        gx, gy = (
            padded[:, :, 1:-1, 2:] - padded[:, :, 1:-1, :-2],
            padded[:, :, 2:, 1:-1] - padded[:, :, :-2, 1:-1],
        )
        size = gx * gx + gy * gy
        best_x, best_y, best = gx[:, :1], gy[:, :1], size[:, :1]
        for n in (1, 2):
            larger = size[:, n : n + 1] > best
            best_x = torch.where(larger, gx[:, n : n + 1], best_x)
            best_y = torch.where(larger, gy[:, n : n + 1], best_y)
            best = torch.maximum(best, size[:, n : n + 1])
        along = F.conv2d(torch.cat((best_x, best_y), 1), self.directions)
        energy = along.square().square() / (best + 1e-4) ** 1.5
        cells = F.avg_pool2d(energy, CELL // 2)
        around = F.avg_pool2d(
            F.pad(cells.square().sum(1, keepdim=True), (1, 1, 1, 1), mode="replicate"), 3, 1
        )
        return (cells / (around + 1e-5).sqrt()).clamp(max=1.0)


class Colours(nn.Module):
    """Share of each cell's pixels near each of the `centres` in an opponent space (luma, red-green, blue-yellow)."""

    opponent: Tensor
    centres: Tensor

    def __init__(self, width: float = 0.11) -> None:
        super().__init__()
        matrix = torch.tensor([[0.299, 0.587, 0.114], [1.0, -1.0, 0.0], [-0.5, -0.5, 1.0]])
        self.register_buffer("opponent", matrix[:, :, None, None], False)
        centres = [
            (luma, chroma * math.cos(angle), chroma * math.sin(angle))
            for luma in (0.12, 0.37, 0.62, 0.88)
            for chroma, count in ((0.0, 1), (0.16, 6), (0.4, 8))
            for angle in (2 * math.pi * k / count for k in range(count))
        ]
        self.width = width
        self.register_buffer("centres", torch.tensor(centres), False)

    def forward(
        self, x01: Float[Tensor, "batch 3 row col"]
    ) -> Float[Tensor, "batch colour cell_row cell_col"]:
        x = F.conv2d(F.avg_pool2d(x01, 4), self.opponent)
        scale = 2 / self.width**2 / 2
        closeness = F.conv2d(
            x, self.centres[:, :, None, None] * scale, -self.centres.square().sum(1) * scale / 2
        )
        return F.avg_pool2d(closeness.softmax(1), CELL // 4)


class Parts(nn.Module):
    """Soft share of each of the `count` learned gradient patterns (24 × 24 pixels) in a cell (bag of words)."""

    centres: Tensor

    def __init__(self, count: int = 96, sharpness: float = 12.0) -> None:
        super().__init__()
        self.sharpness = sharpness
        self.register_buffer("centres", torch.zeros(count, DIRECTIONS * 9))

    def patches(
        self, gradients: Float[Tensor, "batch direction row col"]
    ) -> Float[Tensor, "batch value row col"]:
        """Unit vectors of 3 × 3 neighbouring gradient cells."""
        padded = F.pad(gradients, (1, 1, 1, 1), mode="replicate")
        rows, cols = gradients.shape[2:]
        shifted = [padded[:, :, r : r + rows, c : c + cols] for r in range(3) for c in range(3)]
        stacked = torch.cat(shifted, 1)
        return stacked / (stacked.square().sum(1, keepdim=True) + 0.05).sqrt()

    def forward(
        self, gradients: Float[Tensor, "batch direction row col"]
    ) -> Float[Tensor, "batch part cell_row cell_col"]:
        closeness = F.conv2d(self.patches(gradients), self.centres[:, :, None, None] * self.sharpness)
        return F.avg_pool2d(closeness.softmax(1), 2)
