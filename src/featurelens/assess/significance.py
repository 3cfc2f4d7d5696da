"""Is one backbone really better than another on the same images?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from featurelens.assess.both_roles import wide_interval
from featurelens.assess.interval import difference_interval
from featurelens.assess.result import Measure
from featurelens.errors import InvalidInput

FLIPS = 9999


@dataclass(frozen=True)
class Paired:
    """`a` minus `b` on the same images: mean, 95 % interval, p (corrected for the number of comparisons)."""

    a: str
    b: str
    measure: str
    difference: float
    interval: tuple[float, float]
    p: float
    n: int

    @property
    def significant(self) -> bool:
        return self.p < 0.05


def paired(a: Measure, b: Measure, *, names: tuple[str, str] = ("a", "b"), seed: int = 0) -> Paired:
    """Paired bootstrap interval and sign-flip permutation test of the row values of two measures.

    Where each image is asker and result at once (`detail["spread"]`, see `both_roles`), differences of images
    hang together: the interval, and what flipping can reach, are wider by that factor. Raises InvalidInput
    when a measure keeps no row values, or they share fewer than two rows.

    >>> left = Measure("x", 0.75, 4, "", per_item=np.array([1.0, 1.0, 1.0, 0.0]))
    >>> paired(left, left).p
    1.0
    """
    if a.per_item is None or b.per_item is None or len(a.per_item) != len(b.per_item):
        raise InvalidInput("A paired test needs the row values of both measures, on the same images.")
    gap = a.per_item - b.per_item
    gap = gap[~np.isnan(gap)]
    n = len(gap)
    if n < 2:
        raise InvalidInput(f"A paired test needs two images with both values; there are {n}.")
    mean = float(gap.mean())
    spread = max(float(one.detail.get("spread", 1.0)) for one in (a, b))
    moved = gap[gap != 0]
    random = np.random.default_rng(seed)
    extreme = 0
    for start in range(0, FLIPS, 1000):
        signs = random.integers(0, 2, size=(min(1000, FLIPS - start), len(moved)), dtype=np.int8) * 2 - 1
        extreme += int((spread * np.abs(signs @ moved) >= abs(moved.sum()) - 1e-9).sum())
    if gap.min() == gap.max():
        interval = difference_interval(gap) or (mean, mean)
    else:
        interval = wide_interval(gap, spread, limits=(-np.inf, np.inf), seed=seed) or (mean, mean)
    return Paired(*names, a.name, mean, interval, (extreme + 1) / (FLIPS + 1), n)


def holm(tests: Sequence[Paired]) -> list[Paired]:
    """The same tests with Holm's correction (1979) for having made several; the order stays."""
    order = sorted(range(len(tests)), key=lambda i: tests[i].p)
    corrected, largest = list(tests), 0.0
    for place, i in enumerate(order):
        largest = max(largest, min(1.0, tests[i].p * (len(tests) - place)))
        corrected[i] = replace(tests[i], p=largest)
    return corrected


def against_best(measures: Mapping[str, Measure], *, seed: int = 0) -> list[Paired]:
    """The one of the highest value against each other one, in the order of `measures`.

    Which comes first is seen in the same images, so that any pair could have been tested: p is corrected (Holm) for all pairs.
    """
    best = max(measures, key=lambda name: measures[name].value)
    names = [best, *(name for name in measures if name != best)]
    pairs = [paired(measures[a], measures[b], names=(a, b), seed=seed) for a, b in combinations(names, 2)]
    return holm(pairs)[: len(names) - 1]
