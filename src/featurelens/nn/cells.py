"""Oriented gradients on a grid of cells: fixed, differentiable, exportable."""

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
        shorter = (best + 1e-4) ** (-3 / 8)  # the fourth power then has the length of the gradient
        along = F.conv2d(torch.cat((best_x * shorter, best_y * shorter), 1), self.directions)
        energy = along.square().square()
        cells = F.avg_pool2d(energy, CELL // 2)
        around = F.avg_pool2d(
            F.pad(cells.square().sum(1, keepdim=True), (1, 1, 1, 1), mode="replicate"), 3, 1
        )
        return (cells / (around + 1e-5).sqrt()).clamp(max=1.0)
