"""Is one picture (nearly) the whole or a part of the other? Found by laying one upon the other."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from featurelens.search.prints import SIDE, Print, flattened, resized, shape_of
from featurelens.shapes import Float32, Float64

COARSE = (
    32  # side of the prints in the search over places; the grid is periodic and leaves room for an overhang
)
GRID = 64
RATIOS = (1.0, 0.87, 0.76, 0.66, 0.57, 0.5)
STRETCHED = 0.0  # in place of a ratio: the whole, whatever its proportions
_STEPS = 12


@dataclass(frozen=True)
class Alignment:
    """How the smaller picture lies in the larger one.

    `inner`: which of the two is the part (0 or 1), `box`: where it lies in the other, as fractions, `mirrored`:
    whether it had to be mirrored, `agreement`: how well they agree there, 1 at best, about 0 for strangers.
    """

    inner: int
    box: tuple[float, float, float, float]
    mirrored: bool
    agreement: float


class Laid:
    """One image made ready for being compared with many: spectra for every size and for its mirror image."""

    def __init__(self, one: Print) -> None:
        self.print = one
        self.flat = flattened(one.grey)
        coarse = resized(one.grey, *shape_of(one.aspect, COARSE))
        flat = flattened(coarse)
        self.shape = flat.shape
        self.spectrum = np.fft.rfft2(flat, (GRID, GRID))
        self.energy = np.fft.rfft2(flat * flat, (GRID, GRID))
        small = [flattened(resized(coarse, *shape_of(one.aspect, COARSE * ratio))) for ratio in RATIOS]
        self.sizes = 2 * [part.shape for part in small]
        self.lengths = np.array(2 * [float((part * part).sum()) for part in small], np.float32)
        both = [*small, *(part[:, ::-1] for part in small)]
        self.parts = np.conj(np.stack([np.fft.rfft2(part, (GRID, GRID)) for part in both]))
        rects = np.conj(np.stack([np.fft.rfft2(np.ones_like(part), (GRID, GRID)) for part in small]))
        self.rects = np.concatenate([rects, rects])


@dataclass(frozen=True)
class Place:
    """A guess: `inner` (0 or 1) at `ratio` of the other's size, its upper left corner at (row, col) of 0 to 1."""

    score: float
    inner: int
    ratio: float
    mirrored: bool
    row: float
    col: float


def places(a: Laid, b: Laid, count: int = 3) -> list[Place]:
    """The likeliest places of one in the other, by correlation over all shifts, six sizes, mirrored or not."""
    found: list[Place] = []
    for inner, (part, whole) in enumerate(((a, b), (b, a))):
        products = np.fft.irfft2(whole.spectrum[None] * part.parts, (GRID, GRID))
        energy = np.fft.irfft2(whole.energy[None] * part.rects, (GRID, GRID))
        areas = np.array([rows * cols for rows, cols in part.sizes], np.float32)
        energy = np.maximum(energy, 0.05 * areas[:, None, None])
        scores = products / np.sqrt(energy * np.maximum(part.lengths, 0.05 * areas)[:, None, None])
        flat = scores.reshape(len(scores), -1)
        best = flat.argmax(1)
        for i in np.argsort(-flat[np.arange(len(flat)), best])[:count].tolist():
            row, col = divmod(int(best[i]), GRID)
            row, col = (at - GRID if at > GRID - GRID // 4 else at for at in (row, col))
            n = len(RATIOS)
            found.append(
                Place(
                    float(flat[i, best[i]]),
                    inner,
                    RATIOS[i % n],
                    i >= n,
                    row / whole.shape[0],
                    col / whole.shape[1],
                )
            )
    return sorted([*found, *_stretched(a, b)], key=lambda place: -place.score)[:count]


def _stretched(a: Laid, b: Laid) -> list[Place]:
    """The whole of one upon the whole of the other where their proportions differ, as they are and mirrored."""
    if abs(a.print.aspect / b.print.aspect - 1) < 0.03:
        return []
    one = flattened(resized(a.print.grey, *b.shape))
    other = flattened(resized(b.print.grey, *b.shape))
    length = max(float(np.linalg.norm(one) * np.linalg.norm(other)), 1e-9)
    scores = (float((one * other).sum()) / length, float((one[:, ::-1] * other).sum()) / length)
    return [
        Place(score, 0, STRETCHED, mirrored, 0.0, 0.0)
        for mirrored, score in zip((False, True), scores, strict=True)
    ]


def aligned(a: Laid, b: Laid, *, least: float = 0.5) -> Alignment | None:
    """The best alignment of two pictures; None where no place looks promising (its correlation is below `least`)."""
    best = None
    for place in places(a, b):
        if place.score < least:
            break
        part, whole = (a, b) if place.inner == 0 else (b, a)
        found = _refined(part, whole, place)
        if found is not None and (best is None or found.agreement > best.agreement):
            best = found
            if best.agreement > 0.9:
                break
    return best


def _refined(part: Laid, whole: Laid, place: Place) -> Alignment | None:
    """Gauss-Newton on the six numbers of an affine map (Lucas & Kanade 1981), then the agreement there."""
    one = part.print.mirrored() if place.mirrored else part.print
    shape = whole.flat.shape if place.ratio == STRETCHED else shape_of(one.aspect, SIDE * place.ratio)
    template = flattened(resized(one.grey, *shape))
    rows, cols = shape
    target = whole.flat
    row_at, col_at = np.mgrid[0:rows, 0:cols].astype(np.float32)
    y, x = (row_at - (rows - 1) / 2).ravel(), (col_at - (cols - 1) / 2).ravel()
    shift = np.array(
        [
            place.row * target.shape[0] + (rows - 1) / 2,
            place.col * target.shape[1] + (cols - 1) / 2,
        ]
    )
    matrix = np.eye(2)
    slope_y, slope_x = np.gradient(target)
    values = template.ravel()
    for _ in range(_STEPS):
        v, u = matrix[0, 0] * y + matrix[0, 1] * x + shift[0], matrix[1, 0] * y + matrix[1, 1] * x + shift[1]
        now, gy, gx, inside = _sampled((target, slope_y, slope_x), v, u)
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
    if np.abs(matrix - np.eye(2)).max() > 0.35:
        return None
    v, u = matrix[0, 0] * y + matrix[0, 1] * x + shift[0], matrix[1, 0] * y + matrix[1, 1] * x + shift[1]
    now, inside = _sampled((target,), v, u)
    if inside.mean() < 0.8:
        return None
    agreement = _agreement(template, (now * inside).reshape(rows, cols), inside.reshape(rows, cols))
    height, width = matrix[0, 0] * rows / target.shape[0], matrix[1, 1] * cols / target.shape[1]
    top = (shift[0] + 0.5) / target.shape[0] - height / 2
    left = (shift[1] + 0.5) / target.shape[1] - width / 2
    box = tuple(float(np.clip(at, 0, 1)) for at in (left, top, left + width, top + height))
    return Alignment(place.inner, box, place.mirrored, agreement)  # pyright: ignore[reportArgumentType]


def _sampled(
    pictures: Sequence[Float32[np.ndarray, "row col"]],
    v: Float64[np.ndarray, " point"] | Float32[np.ndarray, " point"],
    u: Float64[np.ndarray, " point"] | Float32[np.ndarray, " point"],
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


def _agreement(a: np.ndarray, b: np.ndarray, inside: np.ndarray, blocks: int = 5) -> float:
    """The mean correlation of the blocks of both, each weighted by the stronger detail of the two.

    By blocks, since two photos before the same background agree in most places and not at all in one.
    """
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
