"""The lane before the engine, on a clock of its own: an engine that takes 10 ms each is asked for twice what it can do."""

from __future__ import annotations

import random

import numpy as np
import pytest

from featurelens.web.lane import Lane
from featurelens.web.limits import Limits
from featurelens.web.problems import Problem

SERVICE_S = 0.01


class Simulated:
    """One engine, first come first served; requests come at random times at `times` its capacity."""

    def __init__(self, limits: Limits) -> None:
        self.now = 0.0
        self.lane = Lane(limits, clock=lambda: self.now)
        self.took: list[float] = []
        self.refused: list[Problem] = []
        self._free, self._queue = 0.0, []

    def run(self, *, times: float, seconds: float) -> None:
        chance = random.Random(0)
        end, queue = self.now + seconds, self._queue
        while self.now < end:
            coming = self.now + chance.expovariate(times / SERVICE_S)
            while queue and queue[0][0] <= coming:
                self.now, place = queue.pop(0)
                self.took.append(self.now - place.since)
                self.lane.leave(place)
            self.now = coming
            try:
                place = self.lane.enter()
            except Problem as problem:
                self.refused.append(problem)
                continue
            self._free = max(self._free, self.now) + chance.uniform(0.5, 1.5) * SERVICE_S
            queue.append((self._free, place))


@pytest.mark.parametrize("latency", [0.1, 0.3])
def test_99_of_100_answers_take_no_longer_than_was_promised(latency: float):
    """Sabotage: with the bounded queue alone (64 times 10 ms) they take twice as long and more."""
    engine = Simulated(Limits(latency_s=latency))
    engine.run(times=2.0, seconds=200.0)
    p99 = float(np.quantile(engine.took[500:], 0.99))
    assert 0.5 * latency < p99 <= 1.02 * latency
    assert len(engine.took) > 0.9 * 200 / SERVICE_S, "it is kept busy"
    assert {problem.status for problem in engine.refused} == {429}
    assert min(problem.retry_s or 0 for problem in engine.refused) >= 1
    patient = Simulated(Limits(latency_s=60.0))
    patient.run(times=2.0, seconds=20.0)
    assert float(np.quantile(patient.took[500:], 0.99)) > 0.55


def test_below_its_capacity_nobody_is_refused():
    engine = Simulated(Limits(latency_s=0.5))
    engine.run(times=0.7, seconds=100.0)
    assert not engine.refused


def test_after_a_rush_all_is_as_before():
    engine = Simulated(Limits(latency_s=0.1))
    engine.run(times=3.0, seconds=20.0)
    engine.run(times=0.1, seconds=60.0)
    before = len(engine.refused)
    engine.run(times=0.1, seconds=60.0)
    assert len(engine.refused) == before


def test_an_answer_that_took_very_long_does_not_shut_the_lane():
    """The first query loads the network; as many as there are cores are let in all the same."""
    engine = Simulated(Limits(latency_s=0.1))
    place = engine.lane.enter()
    engine.now += 30.0
    engine.lane.leave(place)
    engine.lane.leave(engine.lane.enter())
