"""Integrated gradients: Gauss-Legendre quadrature, with more steps only where the line needs them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from featurelens.errors import InvalidInput
from featurelens.see.lean import lean
from featurelens.see.score import Score, at_once, gradient, pieces, scores
from featurelens.shapes import Float

Images = Float[Tensor, "image 3 row col"]
_POINTS = (
    4  # of one piece of the line: a network is a function with many kinks, which high orders do not help
)
_SMALL = 0.3  # share of the tolerance; a piece that misses less is not looked at again,
_KEPT = 0.5  # as long as all such pieces of the image together miss no more than this share


@dataclass(frozen=True, eq=False)
class Integrated:
    """Attributions, and how far they are from adding up.

    `gap` is |sum of the attributions - (score - score of the baseline)| over |score - score of the baseline|,
    for each image; `steps` the number of points on the line at which its gradient was computed.
    """

    values: Images
    score: Float[Tensor, " image"]
    base: Float[Tensor, " image"]
    gap: Float[Tensor, " image"]
    steps: tuple[int, ...]


@dataclass(frozen=True)
class _Piece:
    """From `start` to `end` (0: the baseline, 1: the image) on the line of one image, and the scores there."""

    image: int
    start: float
    end: float
    low: float
    high: float


def integrated_gradients(
    score: Score,
    x: Images,
    baseline: Images,
    *,
    steps: int = 32,
    tolerance: float | None = 0.01,
    max_steps: int = 512,
    chunk: int = 16,
) -> Integrated:
    """(x - baseline) times the mean gradient on the straight line between them; it sums to the score's rise.

    Sundararajan et al., "Axiomatic Attribution for Deep Networks" (2017). The line is cut into pieces of 4
    points; each must integrate to the score's rise along it. Where an image's sum misses by more than
    `tolerance`, the pieces at fault are halved, up to `max_steps` points in all. `tolerance=None` takes one
    Gauss-Legendre rule of `steps` points. All points of all images stand in one queue that is worked off
    `chunk` at a time: memory grows with neither. Raises InvalidInput where baseline and images do not match.
    """
    if x.shape != baseline.shape:
        raise InvalidInput(f"The baseline is {tuple(baseline.shape)}, the images are {tuple(x.shape)}.")
    if steps < 1:
        raise InvalidInput(f"steps={steps} must be 1 or more.")
    line, points = _Line(score, x, baseline, chunk), steps if tolerance is None else min(_POINTS, steps)
    base, top = line.scores([(i, 0.0) for i in range(len(x))]), line.scores([(i, 1.0) for i in range(len(x))])
    scale, limit = _scale(base, top, torch.finfo(x.dtype).eps), tolerance or 0.0
    whole = [_Piece(i, 0.0, 1.0, base[i], top[i]) for i in range(len(x))]
    todo = line.cut(whole, max(1, round(steps / points)))
    values, gap, used = torch.zeros_like(x), np.zeros(len(x)), np.zeros(len(x), int)
    while todo:
        owner = np.array([piece.image for piece in todo])
        doubtful, missed, kept = line.integrate(todo, points, limit * scale, gap, values)
        used += points * np.bincount(owner, minlength=len(x))
        rest = np.bincount(owner, np.where(kept, 0, missed), minlength=len(x))
        more = 2 * points * np.bincount(owner, ~kept, minlength=len(x))
        settled = (np.abs(gap + rest) <= limit * scale) | (used + more > max_steps) | (tolerance is None)
        gap += np.where(settled, rest, 0)
        values[_where(settled, x)] += doubtful[_where(settled, x)]
        again = [p for p, done in zip(todo, kept | settled[owner], strict=True) if not done]
        todo = line.cut(again, 2)
    return Integrated(
        values, _like(top, x), _like(base, x), _like(np.abs(gap) / scale, x), tuple(used.tolist())
    )


class _Line:
    """The straight lines from the baselines to the images, and the gradients on them."""

    def __init__(self, score: Score, x: Images, baseline: Images, chunk: int) -> None:
        self._score, self._x, self._baseline = lean(score), x, baseline
        self._chunk = min(chunk, at_once(x))  # more would only be cut and joined again

    def scores(self, places: list[tuple[int, float]]) -> np.ndarray:
        """The scores at places (image, share of the way), without gradients."""
        found = []
        for part in pieces(len(places), self._chunk):
            which = torch.tensor([image for image, _ in places[part]], device=self._x.device)
            at = torch.tensor(
                [share for _, share in places[part]], dtype=self._x.dtype, device=self._x.device
            )
            found.append(scores(self._score, self._at(which, at), which, chunk=self._chunk))
        return torch.cat(found).double().cpu().numpy() if found else np.empty(0)

    def cut(self, whole: list[_Piece], count: int) -> list[_Piece]:
        """Each piece as `count` equal ones."""
        inner = [(p.image, p.start + (p.end - p.start) * k / count) for p in whole for k in range(1, count)]
        known, found = self.scores(inner), []
        for i, p in enumerate(whole):
            mine = slice(i * (count - 1), (i + 1) * (count - 1))
            at = [p.start, *(share for _, share in inner[mine]), p.end]
            value = [p.low, *known[mine].tolist(), p.high]
            found += [_Piece(p.image, at[k], at[k + 1], value[k], value[k + 1]) for k in range(count)]
        return found

    def integrate(
        self, todo: list[_Piece], points: int, tolerated: np.ndarray, gap: np.ndarray, values: Images
    ) -> tuple[Images, np.ndarray, np.ndarray]:
        """Add the attributions of pieces that miss little of what is `tolerated` to `values`, and what they miss to
        `gap`; those of the others come back, with what each piece misses and which were kept.
        """
        x, device = self._x, self._x.device
        nodes, weights = np.polynomial.legendre.leggauss(points)
        start, end = (np.array([getattr(p, name) for p in todo]) for name in ("start", "end"))
        at = (start[:, None] + (end - start)[:, None] * (nodes + 1) / 2).ravel()
        weight = ((end - start)[:, None] * weights / 2).ravel()
        owner = torch.tensor([p.image for p in todo], device=device)
        doubtful, missed, kept = torch.zeros_like(x), np.zeros(len(todo)), np.zeros(len(todo), bool)
        carried = None
        for part in pieces(len(at), self._chunk):
            piece = torch.arange(part.start, part.stop, device=device) // points
            first, last = part.start // points, (part.stop - 1) // points
            which = owner[piece]
            slope = gradient(self._score, self._at(which, _like(at[part], x)), which)[1]
            sums = _sums(slope, _like(weight[part], x), piece - first, last - first + 1)
            if carried is not None:
                sums[0] += carried
            ended = part.stop // points - first
            carried = sums[-1].clone() if ended < len(sums) else None
            if not ended:
                continue
            images = owner[first : first + ended]
            sums = sums[:ended] * (x[images] - self._baseline[images])
            for k, total in enumerate(sums.flatten(1).sum(1, dtype=torch.float64).tolist(), start=first):
                image, missed[k] = todo[k].image, total - (todo[k].high - todo[k].low)
                kept[k] = (
                    abs(missed[k]) <= _SMALL * tolerated[image]
                    and abs(gap[image] + missed[k]) <= _KEPT * tolerated[image]
                )
                gap[image] += missed[k] if kept[k] else 0.0
                (values if kept[k] else doubtful)[image] += sums[k - first]
        return doubtful, missed, kept

    def _at(self, which: Tensor, share: Tensor) -> Tensor:
        return torch.lerp(self._baseline[which], self._x[which], share.reshape(-1, 1, 1, 1))


def _sums(slope: Tensor, weight: Tensor, owner: Tensor, count: int) -> Tensor:
    """The weighted sum of the slopes of each owner, by one product of matrices and without a weighted copy."""
    mine = torch.zeros(count, len(slope), dtype=slope.dtype, device=slope.device)
    mine[owner, torch.arange(len(slope), device=slope.device)] = weight
    rows = slope.permute(0, 2, 3, 1)  # as they lie in memory: channels last
    return (mine @ rows.flatten(1)).view(count, *rows.shape[1:]).permute(0, 3, 1, 2)


def _scale(base: np.ndarray, top: np.ndarray, eps: float) -> np.ndarray:
    """The rise of each image; where it is lost in rounding, rounding is what counts as 1."""
    rounding = 10 * eps * np.maximum(np.abs(base), np.abs(top))
    return np.maximum(np.abs(top - base), np.maximum(rounding, 1e-30))


def _like(values: np.ndarray, x: Tensor) -> Tensor:
    return torch.tensor(values, dtype=x.dtype, device=x.device)


def _where(mask: np.ndarray, x: Tensor) -> Tensor:
    return torch.tensor(mask, device=x.device)
