"""A count of values by size, as Prometheus wants it."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate
from threading import Lock

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
SIZES = (1, 2, 4, 8, 16, 32, 64)


class Histogram:
    """How many values were at most each bound; safe to add to from several threads.

    >>> seconds = Histogram((0.1, 1.0))
    >>> for value in (0.05, 0.1, 0.7, 3.0):
    ...     seconds.add(value)
    >>> list(seconds.lines("took", 'route="/"'))[:3]
    ['took_bucket{route="/",le="0.1"} 2', 'took_bucket{route="/",le="1.0"} 3', 'took_bucket{route="/",le="+Inf"} 4']
    """

    def __init__(self, bounds: Sequence[float] = SECONDS) -> None:
        self._bounds, self._lock = tuple(bounds), Lock()
        self._within = [0] * (len(self._bounds) + 1)
        self.sum = 0.0

    def add(self, value: float) -> None:
        """Count one value."""
        with self._lock:
            self._within[bisect_left(self._bounds, value)] += 1
            self.sum += value

    @property
    def count(self) -> int:
        """How many values there were."""
        return sum(self._within)

    def lines(self, name: str, labels: str) -> Iterator[str]:
        """Its samples in Prometheus' text format."""
        with self._lock:
            counts, total = list(accumulate(self._within)), self.sum
        for bound, count in zip((*self._bounds, "+Inf"), counts, strict=True):
            yield f'{name}_bucket{{{labels},le="{bound}"}} {count}'
        yield f"{name}_sum{{{labels}}} {total:.6f}"
        yield f"{name}_count{{{labels}}} {counts[-1]}"
