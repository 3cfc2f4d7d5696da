"""Who may go to the engine: as many as are answered soon. The others are told at once to come again."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass

from featurelens.web.limits import Limits
from featurelens.web.problems import Problem, busy

_WEIGHT = 0.1  # of the newest answer in what is expected of the next
_LEAST = 0.05  # of the latency: the limit sinks no further
_LATE, _GOOD = (
    0.9,
    1.0005,
)  # the limit sinks by a tenth for a late answer, and rises so that one in 200 is late


@dataclass(frozen=True)
class Place:
    """One request in the lane: when it came, and how many were inside with it."""

    since: float
    inside: int


class Lane:
    """Lets in as many as keep 99 of 100 answers within `limits.latency_s`, at most `limits.waiting` at a time.

    By Little's law a newcomer takes as many times the seconds between two answers as there are inside. Foreseen to
    take longer than a limit, it is refused with 429 and Retry-After; the limit sinks with every answer that was late
    and rises with the others. As many as there are cores are always let in. For one thread: the event loop's.

    >>> lane = Lane(Limits(waiting=1))
    >>> place = lane.enter()
    >>> lane.look()
    Traceback (most recent call last):
        ...
    featurelens.web.problems.Problem: 429: The service has too much to do; try again in 1 s.
    >>> lane.leave(place)
    """

    def __init__(self, limits: Limits, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits, self._clock = limits, clock
        self._few = os.cpu_count() or 1
        self._gap_s: float | None = None
        self.limit_s = limits.latency_s
        self.inside = 0

    @property
    def foreseen_s(self) -> float:
        """How long a newcomer is foreseen to take; 0 while nothing is known."""
        return (self.inside + 1) * (self._gap_s or 0.0)

    def look(self) -> None:
        """Raises the 429 problem that `enter` would raise now."""
        late = self.inside >= self._few and self.foreseen_s > self.limit_s
        if late or self.inside >= self._limits.waiting:
            raise too_much(self.foreseen_s)

    def enter(self) -> Place:
        """Take a place; a 429 problem if there is none."""
        self.look()
        self.inside += 1
        return Place(self._clock(), self.inside)

    def leave(self, place: Place) -> None:
        """Give it back."""
        took, most = self._clock() - place.since, self._limits.latency_s
        self.inside -= 1
        gap = took / place.inside
        self._gap_s = gap if self._gap_s is None else self._gap_s + _WEIGHT * (gap - self._gap_s)
        self.limit_s = min(most, max(_LEAST * most, self.limit_s * (_LATE if took > most else _GOOD)))


def too_much(seconds: float = 1.0) -> Problem:
    """429: come again later."""
    return busy("The service has too much to do", math.ceil(seconds))
