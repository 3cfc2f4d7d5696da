"""Insertion and deletion: does the score come back, or go, with the places that a map calls important?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from featurelens.errors import InvalidInput
from featurelens.see.score import Score, scores
from featurelens.shapes import Float, Int64


@dataclass(frozen=True, eq=False)
class Curves:
    """The score, from 0 (everything blurred) to 1 (the image as it is), as cells appear or vanish in an order.

    The first value stands before any step, the last after all. The areas are means over the curve
    (trapezia): a good map has a large `inserted` and a small `deleted` area.
    """

    insertion: Float[np.ndarray, " point"]
    deletion: Float[np.ndarray, " point"]

    @property
    def inserted(self) -> float:
        """Area under the insertion curve."""
        return float(np.trapezoid(self.insertion, dx=1 / (len(self.insertion) - 1)))

    @property
    def deleted(self) -> float:
        """Area under the deletion curve."""
        return float(np.trapezoid(self.deletion, dx=1 / (len(self.deletion) - 1)))

    @property
    def gain(self) -> float:
        """Insertion area minus deletion area: about 0 for a random order."""
        return self.inserted - self.deleted


def insertion_deletion(
    score: Score,
    x: Float[Tensor, "3 row col"],
    ground: Float[Tensor, "3 row col"],
    orders: Int64[np.ndarray, "order cell"],
    *,
    image: int = 0,
    grid: int = 14,
    points: int = 14,
    chunk: int = 16,
) -> list[Curves] | None:
    """The curves of one image for several orders of its `grid` x `grid` cells, most important first.

    Petsiuk et al., "RISE" (2018), with the score itself instead of a probability. `ground` is what stands
    where nothing is shown. None if the score of the image does not differ from that of `ground`.
    """
    if orders.shape[1] != grid * grid:
        raise InvalidInput(f"An order must name {grid * grid} cells; it names {orders.shape[1]}.")
    cells = cell_of_pixel(int(x.shape[1]), int(x.shape[2]), grid)
    counts = np.rint(np.linspace(0, grid * grid, points + 1)).astype(int)
    masks = np.zeros((len(orders), 2, points + 1, grid * grid), bool)
    for masks_of, order in zip(masks, orders, strict=True):
        for step, count in enumerate(counts):
            masks_of[0, step, order[:count]] = True
            masks_of[1, step, order[count:]] = True
    flat = masks.reshape(-1, grid * grid)
    values = np.empty(len(flat))
    for start in range(0, len(flat), chunk):
        shown = torch.from_numpy(flat[start : start + chunk][:, cells]).to(x.device)[:, None]
        mixed = torch.where(shown, x[None], ground[None])
        which = torch.full((len(mixed),), image, device=x.device)
        values[start : start + chunk] = scores(score, mixed, which, chunk=chunk).double().cpu().numpy()
    values = values.reshape(len(orders), 2, points + 1)
    low, high = values[0, 0, 0], values[0, 0, -1]
    if abs(high - low) <= 1e-6 * max(abs(high), abs(low), 1e-12):
        return None
    share = (values - low) / (high - low)
    return [Curves(insertion, deletion) for insertion, deletion in share]


def cell_of_pixel(rows: int, cols: int, grid: int) -> Int64[np.ndarray, "row col"]:
    """The number of the cell that each pixel lies in, row by row.

    >>> cell_of_pixel(4, 4, 2).tolist()
    [[0, 0, 1, 1], [0, 0, 1, 1], [2, 2, 3, 3], [2, 2, 3, 3]]
    """
    row, col = np.arange(rows) * grid // rows, np.arange(cols) * grid // cols
    return row[:, None] * grid + col[None, :]


def cell_means(values: Float[np.ndarray, "map_row map_col"], grid: int) -> Float[np.ndarray, " cell"]:
    """The mean of a map over each cell; a map coarser than the grid is enlarged first."""
    from featurelens.see.render.overlay import enlarge

    rows, cols = (max(grid, n) for n in values.shape)
    values = enlarge(values.astype(np.float32), rows, cols)
    cells = cell_of_pixel(rows, cols, grid).ravel()
    count = np.bincount(cells, minlength=grid * grid)
    return np.bincount(cells, values.ravel().astype(np.float64), minlength=grid * grid) / count
