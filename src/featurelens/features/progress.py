"""What long work tells its caller while it runs."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """How far the work is: images done of `total` (failed ones included), and images a second so far."""

    done: int
    total: int
    failed: int
    rate: float

    @property
    def seconds_left(self) -> float | None:
        """The time left at the present rate; None before anything is known."""
        return (self.total - self.done) / self.rate if self.rate > 0 else None


OnProgress = Callable[[Progress], object]


class Meter:
    """Counts, and calls back with a `Progress`; the rate leaves out what was done before it started."""

    def __init__(self, total: int, on_progress: OnProgress | None = None, *, done: int = 0) -> None:
        self.total, self.done, self.failed = total, done, 0
        self._before, self._on_progress, self._started = done, on_progress, time.perf_counter()
        self._tell()

    @property
    def seconds(self) -> float:
        """Seconds since the meter was made."""
        return time.perf_counter() - self._started

    @property
    def rate(self) -> float:
        """Images a second since the meter was made."""
        return (self.done - self._before) / self.seconds if self.done > self._before else 0.0

    def step(self, done: int, failed: int = 0) -> None:
        """Count `done` more images, `failed` of them without a vector."""
        self.done += done
        self.failed += failed
        self._tell()

    def _tell(self) -> None:
        if self._on_progress is not None:
            self._on_progress(Progress(self.done, self.total, self.failed, self.rate))
