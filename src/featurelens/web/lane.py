"""Who may go to the engine: as many as are answered soon. The others are told at once to come again."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass

from featurelens.web.limits import Limits
from featurelens.web.problems import Problem, busy

_PATIENCE = 4.0  # times what a request takes in quiet times
_LEAST_S = 0.1  # nobody is refused for less
_WEIGHT = 0.1  # of the newest answer in what is expected of the next


@dataclass(frozen=True)
class Place:
    """One request in the lane: when it came, after how many others, with how many inside."""

    since: float
    number: int
    inside: int


class Lane:
    """Foresees by Little's law how long a newcomer takes: so many inside times the seconds between two answers.

    Beyond `limits.waiting` inside, or foreseen to take longer than `limits.latency_s`, it is refused with 429
    and Retry-After; a few, twice the cores, are always let in. For one thread: the event loop's.

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
        self._few = 2 * (os.cpu_count() or 1)
        self._numbers = 0
        self._gap_s: float | None = None
        self._quiet_s: float | None = None
        self.inside = 0

    @property
    def budget_s(self) -> float:
        """How long a newcomer may be foreseen to take."""
        if self._limits.latency_s is not None:
            return self._limits.latency_s
        return max(_LEAST_S, _PATIENCE * (self._quiet_s or 0.0))

    @property
    def foreseen_s(self) -> float:
        """How long a newcomer is foreseen to take; 0 while nothing is known."""
        return (self.inside + 1) * (self._gap_s or 0.0)

    def look(self) -> None:
        """Raises the 429 problem that `enter` would raise now."""
        late = self.inside >= self._few and self.foreseen_s > self.budget_s
        if late or self.inside >= self._limits.waiting:
            raise too_much(self.foreseen_s)

    def enter(self) -> Place:
        """Take a place; a 429 problem if there is none."""
        self.look()
        self.inside += 1
        self._numbers += 1
        return Place(self._clock(), self._numbers, self.inside)

    def leave(self, place: Place) -> None:
        """Give it back."""
        took = self._clock() - place.since
        self.inside -= 1
        gap = took / place.inside
        self._gap_s = gap if self._gap_s is None else self._gap_s + _WEIGHT * (gap - self._gap_s)
        if place.inside == 1 and place.number == self._numbers:  # it was alone from its beginning to its end
            before = self._quiet_s or took
            weight = 0.5 if took < before else 0.05  # the first one loads the network: forget that soon
            self._quiet_s = before + weight * (took - before)


def too_much(seconds: float = 1.0) -> Problem:
    """429: come again later."""
    return busy("The service has too much to do", math.ceil(seconds))
