"""Intervals by resampling, and what chance would give."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from featurelens.shapes import Float, Int64

RESAMPLES = 1000
LARGE = 5000
"""From this many values on, the normal interval replaces the bootstrap, which it then equals."""


def mean_interval(
    values: Float[np.ndarray, "n"], *, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[float, float] | None:
    """The 95 % percentile bootstrap interval of a mean (Efron 1979); None below two values.

    >>> low, high = mean_interval(np.tile([0.0, 1.0], 50))
    >>> 0.35 < low < 0.5 < high < 0.65
    True
    """
    values = values[~np.isnan(values)].astype(np.float64)
    n = len(values)
    if n < 2:
        return None
    if n >= LARGE:
        half = 1.959964 * values.std(ddof=1) / np.sqrt(n)
        return float(values.mean() - half), float(values.mean() + half)
    draws = np.random.default_rng(seed).integers(n, size=(resamples, n))
    low, high = np.quantile(values[draws].mean(axis=1), (0.025, 0.975))
    return float(low), float(high)


def share_interval(
    right: Float[np.ndarray, "n"], *, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[float, float] | None:
    """The 95 % interval of a share of rights (1) and wrongs (0): `mean_interval`, Wilson's where all are alike.

    A bootstrap of thirty rights out of thirty never draws a wrong and would claim certainty (Wilson 1927).

    >>> share_interval(np.ones(30))
    (0.8864866052385479, 1.0)
    """
    known = right[~np.isnan(right)]
    n = len(known)
    if n < 2 or known.min() != known.max():
        return mean_interval(right, resamples=resamples, seed=seed)
    doubt = 1.959964**2 / (n + 1.959964**2)
    return (0.0, doubt) if known[0] == 0 else (1 - doubt, 1.0)


def difference_interval(
    gaps: Float[np.ndarray, "n"], *, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[float, float] | None:
    """The 95 % interval of a mean of differences (-1 to 1) of values from 0 to 1; where all are alike, by Wilson's share.

    Then a share of z² / (n + z²) of other images could still differ from these, as far as differences go.

    >>> low, high = difference_interval(np.zeros(20))
    >>> round(low, 3), round(high, 3)
    (-0.161, 0.161)
    """
    known = gaps[~np.isnan(gaps)]
    n = len(known)
    if n < 2 or known.min() != known.max():
        return mean_interval(gaps, resamples=resamples, seed=seed)
    doubt, gap = 1.959964**2 / (n + 1.959964**2), float(known[0])
    return gap - doubt * (gap + 1), gap + doubt * (1 - gap)


def jackknife_interval(
    statistic: Callable[[Int64[np.ndarray, "kept"]], float], n: int, *, groups: int = 20, seed: int = 0
) -> tuple[float, float] | None:
    """The 95 % interval of a statistic of row indices, by leaving out one of `groups` at a time.

    For statistics that repeated rows would bias (ranks, neighbour distances), where a bootstrap is wrong
    (Efron & Stein 1981). None when there are fewer rows than groups.
    """
    if n < 2 * groups:
        return None
    parts = np.array_split(np.random.default_rng(seed).permutation(n), groups)
    estimates = np.array(
        [
            statistic(np.sort(np.concatenate(parts[:g] + parts[g + 1 :])).astype(np.int64))
            for g in range(groups)
        ]
    )
    spread = np.sqrt((groups - 1) / groups * ((estimates - estimates.mean()) ** 2).sum())
    centre = statistic(np.arange(n, dtype=np.int64))
    return float(centre - 1.959964 * spread), float(centre + 1.959964 * spread)


def same_class_rate(counts: Int64[np.ndarray, "classes"]) -> float:
    """How often another image drawn at random has the class of a given one: chance for leave-one-out hits."""
    n = int(counts.sum())
    return float((counts * (counts - 1)).sum() / (n * (n - 1))) if n > 1 else float("nan")


def random_average_precision(relevant: int, total: int) -> float:
    """The expected average precision of a random ranking with `relevant` of `total` items to find."""
    if total == 1:
        return 1.0
    harmonic = float((1 / np.arange(1, total + 1)).sum())
    return (harmonic + (total - harmonic) * (relevant - 1) / (total - 1)) / total


def random_average_precision_at_r(relevant: int, total: int) -> float:
    """The expected mAP@R term of a random ranking: only the first `relevant` ranks count."""
    if total == 1:
        return 1.0
    harmonic = float((1 / np.arange(1, relevant + 1)).sum())
    return (harmonic + (relevant - harmonic) * (relevant - 1) / (total - 1)) / total
