"""Fits one small picture into another by an affine map, and says how well they agree there."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from featurelens.shapes import Bool, Float32, Float64


@dataclass(frozen=True, eq=False)
class Affine:
    """Where a template lies: a point at `p` pixels (down, across) from its middle lies at `shift + matrix @ p`."""

    matrix: Float64[np.ndarray, "2 2"]
    shift: Float64[np.ndarray, "2"]

    def at(
        self, shape: tuple[int, int]
    ) -> tuple[Float32[np.ndarray, " point"], Float32[np.ndarray, " point"]]:
        """The places (v down, u across) of all pixels of a template of this shape, row by row."""
        y, x = _offsets(shape)
        (down_y, down_x), (across_y, across_x) = (
            self.matrix.tolist()
        )  # plain numbers: the points stay float32
        down, across = self.shift.tolist()
        return down_y * y + down_x * x + down, across_y * y + across_x * x + across

    def scaled(self, template: tuple[float, float], target: tuple[float, float]) -> Affine:
        """The same map between pictures whose sides (rows, cols) are these times as long."""
        grown = np.array(target)
        return Affine(
            self.matrix * grown[:, None] / np.array(template)[None], (self.shift + 0.5) * grown - 0.5
        )


def fitted(
    template: Float32[np.ndarray, "row col"],
    target: Float32[np.ndarray, "rows cols"],
    guess: Affine,
    *,
    steps: int,
) -> Affine | None:
    """The map near `guess` under which they differ least; None where half of the template falls outside.

    Gauss-Newton on the six numbers of the map (Lucas & Kanade 1981), in `steps` rounds at most.
    """
    y, x = _offsets(template.shape)
    slope_y, slope_x = np.gradient(target)
    values, matrix, shift = template.ravel(), guess.matrix.copy(), guess.shift.copy()
    for _ in range(steps):
        now, gy, gx, inside = _sampled((target, slope_y, slope_x), *Affine(matrix, shift).at(template.shape))
        if inside.mean() < 0.5:
            return None
        gain = float(now @ values) / max(float(now @ now), 1e-9)
        steepest = np.stack([gy * y, gy * x, gy, gx * y, gx * x, gx], 1) * (gain * inside[:, None])
        error = (values - gain * now) * inside
        normal = steepest.T @ steepest
        normal += np.diag(1e-3 * np.diag(normal) + 1e-6)
        step = np.linalg.solve(normal.astype(np.float64), (steepest.T @ error).astype(np.float64))
        matrix[0] += step[[0, 1]]
        shift[0] += step[2]
        matrix[1] += step[[3, 4]]
        shift[1] += step[5]
        if np.abs(step[[2, 5]]).max() < 0.02 and np.abs(step[[0, 1, 3, 4]]).max() < 1e-3:
            break
    return Affine(matrix, shift)


def agreement(
    template: Float32[np.ndarray, "row col"], target: Float32[np.ndarray, "rows cols"], place: Affine
) -> float | None:
    """How well the two agree there, 1 at best, about 0 for strangers; None where a fifth falls outside.

    The mean correlation of 5 x 5 blocks, each weighted by the stronger detail of the two: two photos before the
    same background agree in most places and not at all in one.
    """
    now, inside = _sampled((target,), *place.at(template.shape))
    if inside.mean() < 0.8:
        return None
    return _by_blocks(template, (now * inside).reshape(template.shape), inside.reshape(template.shape))


def _offsets(shape: tuple[int, ...]) -> tuple[Float32[np.ndarray, " point"], Float32[np.ndarray, " point"]]:
    rows, cols = shape
    row_at, col_at = np.mgrid[0:rows, 0:cols].astype(np.float32)
    return (row_at - (rows - 1) / 2).ravel(), (col_at - (cols - 1) / 2).ravel()


def _sampled(
    pictures: Sequence[Float32[np.ndarray, "row col"]],
    v: Float32[np.ndarray, " point"],
    u: Float32[np.ndarray, " point"],
) -> list[np.ndarray]:
    """The pictures at the points (v down, u across), between the four pixels around; last: which lie inside."""
    rows, cols = pictures[0].shape
    inside = (v >= -0.5) & (v <= rows - 0.5) & (u >= -0.5) & (u <= cols - 0.5)
    v, u = np.clip(v, 0, rows - 1.001), np.clip(u, 0, cols - 1.001)
    row, col = v.astype(np.int32), u.astype(np.int32)
    dv, du = (v - row).astype(np.float32), (u - col).astype(np.float32)
    at = row * cols + col
    found = []
    for picture in pictures:
        flat = picture.ravel()
        above = flat[at] * (1 - du) + flat[at + 1] * du
        below = flat[at + cols] * (1 - du) + flat[at + cols + 1] * du
        found.append(above * (1 - dv) + below * dv)
    return [*found, inside]


def _by_blocks(
    a: Float32[np.ndarray, "row col"],
    b: Float32[np.ndarray, "row col"],
    inside: Bool[np.ndarray, "row col"],
    blocks: int = 5,
) -> float:
    total = weight = 0.0
    row_edges = np.linspace(0, a.shape[0], blocks + 1).astype(int)
    col_edges = np.linspace(0, a.shape[1], blocks + 1).astype(int)
    for top, bottom in itertools.pairwise(row_edges):
        for left, right in itertools.pairwise(col_edges):
            some = inside[top:bottom, left:right]
            if some.sum() < 8:
                continue
            one, other = a[top:bottom, left:right][some], b[top:bottom, left:right][some]
            one, other = one - one.mean(), other - other.mean()
            ones, others = float(one @ one), float(other @ other)
            stronger = max(ones, others)
            total += stronger * float(one @ other) / max(np.sqrt(ones * others), 1e-6)
            weight += stronger
    return float(total / weight) if weight > 0 else 0.0
