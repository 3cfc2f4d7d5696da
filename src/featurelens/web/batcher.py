"""One queue before one engine: what many clients ask at the same time is worked on together."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from threading import Condition, Thread
from typing import Generic, TypeVar

from featurelens.web.histogram import SIZES, Histogram

T = TypeVar("T")
R = TypeVar("R")
_WEIGHT = 0.2  # of the newest batch in what an item takes


class Full(Exception):
    """More waits than the queue holds."""


@dataclass(frozen=True, eq=False)
class Waiting(Generic[T, R]):
    """An item, and since when it waits (time.perf_counter)."""

    key: Hashable
    item: T
    future: Future[R]
    since: float


class Batcher(Generic[T, R]):
    """Calls `work(key, items)` in a thread of its own with what waits under one key, at most `most` items.

    Nothing waits for company: a single item is worked on at once, and what comes in meanwhile is the next
    batch, as large as takes about `budget_s` by what items took lately. Keys take turns by age. An exception of
    `work` goes to every item of its batch. Beyond `room` waiting items, `submit` raises Full.

    >>> doubled = Batcher(lambda key, items: [2 * item for item in items], most=8, name="double")
    >>> doubled.submit(None, 21).result()
    42
    >>> doubled.close()
    """

    def __init__(
        self,
        work: Callable[[Hashable, Sequence[T]], Sequence[R]],
        *,
        most: int,
        name: str,
        budget_s: float = 0.1,
        room: int = 4096,
    ) -> None:
        self._work, self._most, self._budget_s, self._room = work, most, budget_s, room
        self._waiting: deque[Waiting[T, R]] = deque()
        self._changed = Condition()
        self._closed = False
        self._each: float | None = None
        self.batches, self.items = 0, 0
        self.sizes, self.waits, self.works = Histogram(SIZES), Histogram(), Histogram()
        self._thread = Thread(target=self._run, name=f"featurelens-{name}", daemon=True)
        self._thread.start()

    def submit(self, key: Hashable, item: T) -> Future[R]:
        """Queue an item; its future gets its result."""
        future: Future[R] = Future()
        with self._changed:
            if self._closed:
                raise RuntimeError("the queue is closed")
            if len(self._waiting) >= self._room:
                raise Full
            self._waiting.append(Waiting(key, item, future, time.perf_counter()))
            self._changed.notify()
        return future

    def close(self) -> None:
        """Work off what waits, then end the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while batch := self._take():
            running = [one for one in batch if one.future.set_running_or_notify_cancel()]
            if not running:
                continue
            started = time.perf_counter()
            for one in running:
                self.waits.add(started - one.since)
            self.batches, self.items = self.batches + 1, self.items + len(running)
            self.sizes.add(len(running))
            try:
                results = self._work(running[0].key, [one.item for one in running])
            except BaseException as error:  # noqa: BLE001 (goes to those who wait for it)
                for one in running:
                    one.future.set_exception(error)
            else:
                self._took(time.perf_counter() - started, len(running))
                for one, result in zip(running, results, strict=True):
                    one.future.set_result(result)

    def _took(self, seconds: float, items: int) -> None:
        self.works.add(seconds)
        each, before = seconds / items, self._each
        self._each = each if before is None else before + _WEIGHT * (min(each, 4 * before) - before)

    def _take(self) -> list[Waiting[T, R]]:
        """The oldest items with the key of the oldest one; none once the queue is closed and empty."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed)
            most = self._most if not self._each else int(min(self._most, max(1, self._budget_s / self._each)))
            batch, others = [], deque()
            for one in self._waiting:
                alike = len(batch) < most and one.key == self._waiting[0].key
                (batch if alike else others).append(one)
            self._waiting = others
            return batch
