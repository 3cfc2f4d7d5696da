"""A bound on the memory that all threads together use for decoding."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition, Lock


class MemoryBudget:
    """Lets threads in while the sum of their bytes stays below `capacity`; a larger one goes in alone.

    Threads enter in the order in which they ask, so a huge image is never kept out by small ones.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._held = 0
        self._turn = Lock()
        self._freed = Condition()

    @contextmanager
    def hold(self, size: int) -> Iterator[None]:
        """Hold `size` bytes of the budget inside the `with`; waits for room."""
        size = min(size, self._capacity)
        with self._turn, self._freed:
            self._freed.wait_for(lambda: self._held + size <= self._capacity)
            self._held += size
        try:
            yield
        finally:
            with self._freed:
                self._held -= size
                self._freed.notify_all()
