"""Fits one small picture into another by an affine map, and says how well they agree there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from featurelens.shapes import Bool, Float32, Float64

_BLOCKS = 5  # in each direction
_FULL = 4  # the last rounds look at every pixel, those before at every second in both directions


@dataclass(frozen=True, eq=False)
class Affine:
    """Where a template lies: a point at `p` pixels (down, across) from its middle lies at `shift + matrix @ p`."""

    matrix: Float64[np.ndarray, "2 2"]
    shift: Float64[np.ndarray, "2"]

    def at(
        self, shape: tuple[int, int], *, every: int = 1
    ) -> tuple[Float32[np.ndarray, " point"], Float32[np.ndarray, " point"]]:
        """The places (v down, u across) of a template's pixels, row by row; or of those of `every` so many rows and columns."""
        y, x = _offsets(shape, every)
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
    there = (target, *np.gradient(target))
    near = _stepped(template, there, guess, max(0, steps - _FULL), every=2)
    return None if near is None else _stepped(template, there, near, min(steps, _FULL), every=1)


def _stepped(
    template: Float32[np.ndarray, "row col"],
    target_and_slopes: Sequence[Float32[np.ndarray, "rows cols"]],
    guess: Affine,
    steps: int,
    *,
    every: int,
) -> Affine | None:
    y, x = _offsets(template.shape, every)
    values = template[::every, ::every].ravel()
    matrix, shift = guess.matrix.copy(), guess.shift.copy()
    for _ in range(steps):
        now, gy, gx, inside = _sampled(
            target_and_slopes, *Affine(matrix, shift).at(template.shape, every=every)
        )
        if inside.mean() < 0.5:
            return None
        gain = np.float32((now @ values) / max(now @ now, 1e-9))
        steepest = np.stack([gy * y, gy * x, gy, gx * y, gx * x, gx]) * (gain * inside)
        normal = (steepest @ steepest.T).astype(np.float64)
        normal += np.diag(1e-3 * np.diag(normal) + 1e-6)
        step = np.linalg.solve(normal, (steepest @ (values - gain * now)).astype(np.float64))
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


def _offsets(
    shape: tuple[int, ...], every: int
) -> tuple[Float32[np.ndarray, " point"], Float32[np.ndarray, " point"]]:
    rows, cols = shape
    row_at, col_at = np.mgrid[0:rows:every, 0:cols:every].astype(np.float32)
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
) -> float:
    down, across = (_blocks(length) for length in a.shape)
    a, b = a * inside, b * inside
    count, ones, others, aa, bb, ab = (
        (down.T @ of @ across).astype(np.float64) for of in (inside, a, b, a * a, b * b, a * b)
    )
    enough = np.maximum(count, 1)
    mine, yours = (np.maximum(of, 0) for of in (aa - ones * ones / enough, bb - others * others / enough))
    stronger = np.maximum(mine, yours) * (count >= 8)
    each = (ab - ones * others / enough) / np.maximum(np.sqrt(mine * yours), 1e-6)
    return float((stronger * each).sum() / stronger.sum()) if stronger.any() else 0.0


@cache
def _blocks(length: int) -> Float32[np.ndarray, "length block"]:
    """Which of the blocks each row or column is in."""
    edges = np.linspace(0, length, _BLOCKS + 1).astype(int)
    return (np.searchsorted(edges, np.arange(length), "right")[:, None] == np.arange(1, _BLOCKS + 1)).astype(
        np.float32
    )
