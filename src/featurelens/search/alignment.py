"""Is one picture (nearly) the whole or a part of the other? Found by laying one upon the other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from featurelens.search.affine import Affine, agreement, fitted
from featurelens.search.prints import SIDE, Print, flattened, resized, shape_of

COARSE = (
    32  # side of the prints in the search over places; the grid is periodic and leaves room for an overhang
)
GRID = 64
RATIOS = (1.0, 0.87, 0.76, 0.66, 0.57, 0.5)
STRETCHED = 0.0  # in place of a ratio: the whole, whatever its proportions
_STEPS, _CLOSER_STEPS = 12, 2


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
        self.rects = np.conj(np.stack([np.fft.rfft2(np.ones_like(part), (GRID, GRID)) for part in small]))


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
        energy = np.concatenate([energy, energy])  # the same for the mirrored
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


def aligned(a: Laid, b: Laid, threshold: float, *, least: float = 0.5) -> Alignment | None:
    """The likeliest alignment of two pictures, None where they agree by less than `threshold` or no place looks promising.

    Places whose correlation is below `least` are not tried. Two things of one outline agree in what SIDE pixels
    show; what agrees there is looked at again in finer detail, as fine as both have it, and the worse of both counts.
    """
    for place in places(a, b):
        if place.score < least:
            break
        part, whole = (a, b) if place.inner == 0 else (b, a)
        found = _refined(part, whole, place)
        if found is None or found.agreement < threshold:
            continue
        closer = _closer(found)
        if closer is not None and closer >= threshold:
            return Alignment(place.inner, found.box, place.mirrored, min(closer, found.agreement))
    return None


@dataclass(frozen=True, eq=False)
class _Lying:
    """The part, drawn with `shape` pixels, in the whole."""

    part: Print  # mirrored, if it is
    whole: Laid
    place: Place
    shape: tuple[int, int]
    map: Affine
    agreement: float

    @property
    def box(self) -> tuple[float, float, float, float]:
        (rows, cols), (high, wide) = self.shape, self.whole.flat.shape
        height, width = self.map.matrix[0, 0] * rows / high, self.map.matrix[1, 1] * cols / wide
        top = (self.map.shift[0] + 0.5) / high - height / 2
        left = (self.map.shift[1] + 0.5) / wide - width / 2
        box = (float(np.clip(at, 0, 1)) for at in (left, top, left + width, top + height))
        return next(box), next(box), next(box), next(box)


def _refined(part: Laid, whole: Laid, place: Place) -> _Lying | None:
    """The affine map near the place, and the agreement there."""
    one = part.print.mirrored() if place.mirrored else part.print
    shape = whole.flat.shape if place.ratio == STRETCHED else shape_of(one.aspect, SIDE * place.ratio)
    template = flattened(resized(one.grey, *shape))
    corner = np.array([place.row * whole.flat.shape[0], place.col * whole.flat.shape[1]])
    guess = Affine(np.eye(2), corner + (np.array(shape) - 1) / 2)
    found = fitted(template, whole.flat, guess, steps=_STEPS)
    if found is None or np.abs(found.matrix - np.eye(2)).max() > 0.35:
        return None
    value = agreement(template, whole.flat, found)
    return None if value is None else _Lying(one, whole, place, shape, found, value)


def _closer(lying: _Lying) -> float | None:
    """The agreement in the finest detail that both pictures have where they lie upon each other."""
    fine, whole, shape = lying.part.fine, lying.whole, np.array(lying.shape)
    finer = np.array(whole.print.fine.shape) / np.array(whole.flat.shape)
    finer *= min(1.0, float(np.sqrt(np.prod(fine.shape) / np.prod(shape * finer))))
    rows, cols = np.maximum(np.rint(shape * finer), 8).astype(int).tolist()
    high, wide = np.rint(np.array(whole.flat.shape) * finer).astype(int).tolist()
    template = flattened(resized(fine, rows, cols))
    target = flattened(resized(whole.print.fine, high, wide))
    guess = lying.map.scaled(
        (rows / shape[0], cols / shape[1]), (high / whole.flat.shape[0], wide / whole.flat.shape[1])
    )
    found = fitted(template, target, guess, steps=_CLOSER_STEPS)
    return None if found is None else agreement(template, target, found)
