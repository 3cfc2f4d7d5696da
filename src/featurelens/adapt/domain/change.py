"""Before and after on the same images: the difference of two accuracies, and how sure it is."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from featurelens.shapes import Bool


@dataclass(frozen=True)
class Change:
    """After minus before, with its 95 % interval; how many images were gained and lost, of n."""

    difference: float
    interval: tuple[float, float]
    gained: int
    lost: int
    n: int

    def to_json(self) -> dict[str, Any]:
        """A plain dictionary."""
        return asdict(self) | {"interval": list(self.interval)}


def change(before: Bool[np.ndarray, "n"], after: Bool[np.ndarray, "n"]) -> Change:
    """Of rights and wrongs of the same images; the interval is Agresti & Min's for matched pairs (2005).

    >>> found = change(np.array([True] * 50 + [False] * 50), np.array([True] * 60 + [False] * 40))
    >>> found.difference, [round(x, 3) for x in found.interval]
    (0.1, [0.037, 0.159])
    """
    gained, lost, n = int((after & ~before).sum()), int((before & ~after).sum()), len(before)
    b, c, m = gained + 0.5, lost + 0.5, n + 2
    middle, half = (b - c) / m, 1.959964 * math.sqrt(max(0.0, (b + c) - (b - c) ** 2 / m)) / m
    low, high = max(-1.0, middle - half), min(1.0, middle + half)
    return Change((gained - lost) / n, (low, high), gained, lost, n)
