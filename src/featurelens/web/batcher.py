"""One queue before one engine: what many clients ask at the same time is worked on together."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future
from threading import Condition, Thread
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class Batcher(Generic[T, R]):
    """Calls `work(key, items)` in a thread of its own with all that waits under one key, at most `most` items.

    Nothing waits for company: a single item is worked on at once, and what comes in meanwhile is the next
    batch. Keys take turns by age. An exception of `work` goes to every item of its batch.

    >>> doubled = Batcher(lambda key, items: [2 * item for item in items], most=8, name="double")
    >>> doubled.submit(None, 21).result()
    42
    >>> doubled.close()
    """

    def __init__(self, work: Callable[[Hashable, Sequence[T]], Sequence[R]], *, most: int, name: str) -> None:
        self._work, self._most = work, most
        self._waiting: deque[tuple[Hashable, T, Future[R]]] = deque()
        self._changed = Condition()
        self._closed = False
        self.batches, self.items = 0, 0
        self._thread = Thread(target=self._run, name=f"featurelens-{name}", daemon=True)
        self._thread.start()

    def submit(self, key: Hashable, item: T) -> Future[R]:
        """Queue an item; its future gets its result."""
        future: Future[R] = Future()
        with self._changed:
            if self._closed:
                raise RuntimeError("the queue is closed")
            self._waiting.append((key, item, future))
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
            running = [one for one in batch if one[2].set_running_or_notify_cancel()]
            if not running:
                continue
            self.batches, self.items = self.batches + 1, self.items + len(running)
            try:
                results = self._work(running[0][0], [item for _, item, _ in running])
            except BaseException as error:  # noqa: BLE001 (goes to those who wait for it)
                for _, _, future in running:
                    future.set_exception(error)
            else:
                for (_, _, future), result in zip(running, results, strict=True):
                    future.set_result(result)

    def _take(self) -> list[tuple[Hashable, T, Future[R]]]:
        """All items with the key of the oldest one; none once the queue is closed and empty."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed)
            batch, others = [], deque()
            for one in self._waiting:
                alike = len(batch) < self._most and one[0] == self._waiting[0][0]
                (batch if alike else others).append(one)
            self._waiting = others
            return batch
