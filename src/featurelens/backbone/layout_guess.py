"""What the shapes of one input size tell about an output, for networks that take no other size."""

from __future__ import annotations

import math
from typing import Any

from torch import nn

from featurelens.backbone.token_grid import NCHW, Axis, Grid, Layout

_PLANES = (nn.Conv2d, nn.BatchNorm2d, nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d)


def guess_layout(
    part: nn.Module, shape: tuple[int, ...], other_batch: tuple[int, ...], size: Grid, network: nn.Module
) -> Layout:
    """The one layout that the shapes at batch 2 and 3 allow; "unknown" axes where there is none or several."""
    axes: list[Axis] = ["channel"] * len(shape)
    unknown = Layout(("unknown",) * len(shape))
    batch = [i for i, (n, m) in enumerate(zip(shape, other_batch, strict=True)) if n != m]
    if len(batch) != 1 or shape[batch[0]] != 2:
        return unknown
    axes[batch[0]] = "batch"
    if len(shape) == 4 and batch == [0] and isinstance(part, _PLANES):
        return NCHW
    free = [i for i in range(len(shape)) if i not in batch]
    if len(free) == 1:
        return Layout(tuple(axes))
    planes = [i for i in free[:-1] if len(free) > 2 and fits(shape[i], shape[i + 1], size)]
    if planes:
        if len(planes) > 1:
            return unknown
        axes[planes[0]], axes[planes[0] + 1] = "row", "col"
        return Layout(tuple(axes))
    rows = [(i, p, g) for i in free for p, g in _rows_of_tokens(shape[i], size, network)]
    lengths = {shape[i] for i, _, _ in rows}
    if len(rows) > 1 and len(lengths) == 1:
        for i, _, _ in rows:
            axes[i] = "token"  # a matrix of token pairs
        return Layout(tuple(axes))
    if len(rows) != 1:
        return Layout(tuple(axes)) if not rows and len(free) == 2 and 1 in shape else unknown
    (t, prefix, grid) = rows[0]
    axes[t] = "token"
    return Layout(tuple(axes), prefix, grid)


def grid_of(places: int, size: Grid) -> Grid:
    """Rows and columns of so many places, in the proportion of the input.

    >>> grid_of(150, (160, 240))
    (10, 15)
    """
    pairs = [(r, places // r) for r in range(1, places + 1) if places % r == 0]
    return min(pairs, key=lambda grid: abs(math.log(grid[0] * size[1] / (grid[1] * size[0]))))


def fits(rows: int, cols: int, size: Grid) -> bool:
    """Whether one whole stride, rounded up or down, leads from the input to rows and columns.

    >>> fits(7, 10, (224, 320)), fits(7, 7, (224, 320))
    (True, False)
    """
    if not (1 < rows <= size[0] and 1 < cols <= size[1]):
        return False

    def steps(n: int, of: int) -> set[int]:
        return {s for s in range(of // (n + 1), of // max(n - 1, 1) + 1) if s and n in (of // s, -(-of // s))}

    return bool(steps(rows, size[0]) & steps(cols, size[1]))


def _rows_of_tokens(count: int, size: Grid, network: nn.Module) -> list[tuple[int, Grid]]:
    known: Any = getattr(network, "num_prefix_tokens", None)
    only: Any = getattr(network, "grid_size", None)  # OpenCLIP's transformers tell it
    found = []
    for prefix in sorted({0, 1, 2, known if isinstance(known, int) else 0}):
        if count - prefix > 3:
            grid = grid_of(count - prefix, size)
            if isinstance(only, tuple) and grid != only:
                continue
            if fits(*grid, size) and abs(grid[0] * size[1] - grid[1] * size[0]) <= max(size):
                found.append((prefix, grid))
    return found
