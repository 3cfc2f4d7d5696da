"""How much wider the interval of a vote is: images that vote for one another are not right independently.

Leave-one-out results that share voters rise and fall together, so a bootstrap over them is too narrow. The jackknife
of `both_roles` suits means that move smoothly; of votes, which jump, it makes far too much.
"""

from __future__ import annotations

import numpy as np

from featurelens.assess.both_roles import Values, whole_classes
from featurelens.shapes import Bool, Float, Int64

HALVINGS = 30
_FEWEST, _WHOLE = 16, 4
_WIDEST = 2.5


def vote_spreads(values: Values, codes: Int64[np.ndarray, "n"], *, seed: int = 0) -> dict[str, float]:
    """How many times wider than a bootstrap over asking images the interval of each measure must be.

    The images are cut in two at random many times, each class evenly (one of fewer than four images stays
    whole). Halves share no image, so half the squared difference of their means estimates the variance of
    such a mean without bias (half-samples, McCarthy 1969; that statistics which jump need much left out:
    Shao & Wu 1989). The factor is its root over the standard error that values within a half suggest. 1 where
    there are fewer than 16 images, halves with fewer than two values, or values that do not differ.
    """
    rows = whole_classes(codes, seed)
    if len(rows) < _FEWEST:
        return dict.fromkeys(values(rows), 1.0)
    random = np.random.default_rng(seed)
    apart: dict[str, list[float]] = {}
    alone: dict[str, list[float]] = {}
    for _ in range(HALVINGS):
        first = _first_half(codes[rows], random)
        one, other = (values(rows[half]) for half in (first, ~first))
        for name in one:
            if min(len(one[name]), len(other[name])) < 2:
                return dict.fromkeys(one, 1.0)
            gap = one[name].mean() - other[name].mean()
            apart.setdefault(name, []).append(float(gap**2) / 2)
            alone.setdefault(name, []).append((_error(one[name]) + _error(other[name])) / 2)
    return {name: _factor(apart[name], alone[name]) for name in apart}


def _factor(apart: list[float], alone: list[float]) -> float:
    naive = float(np.mean(alone))
    return float(np.clip(np.sqrt(np.mean(apart) / naive), 1, _WIDEST)) if naive > 0 else 1.0


def _error(values: Float[np.ndarray, "n"]) -> float:
    """The squared standard error of the mean of independent values."""
    return float(values.var(ddof=1)) / len(values)


def _first_half(codes: Int64[np.ndarray, "n"], random: np.random.Generator) -> Bool[np.ndarray, "n"]:
    """Which rows fall into the first half of a random cut."""
    shuffled = random.permutation(len(codes))
    dealt = shuffled[np.argsort(codes[shuffled], kind="stable")]
    first = np.zeros(len(codes), dtype=bool)
    first[dealt[::2]] = True
    sizes = np.bincount(codes)
    small = random.permutation(np.flatnonzero((sizes > 0) & (sizes < _WHOLE)))
    first[np.isin(codes, small)] = False
    first[np.isin(codes, small[::2])] = True
    return first
