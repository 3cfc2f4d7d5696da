"""A bound on the pixels that all threads together hold decoded at full size."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition, Lock


class PixelBudget:
    """Lets threads in while the sum of their pixels stays below `capacity`; a larger one goes in alone.

    Threads enter in the order in which they ask, so a huge image is never kept out by small ones.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._held = 0
        self._turn = Lock()
        self._freed = Condition()

    @contextmanager
    def hold(self, pixels: int) -> Iterator[None]:
        """Hold `pixels` of the budget inside the `with`; waits for room."""
        pixels = min(pixels, self._capacity)
        with self._turn, self._freed:
            self._freed.wait_for(lambda: self._held + pixels <= self._capacity)
            self._held += pixels
        try:
            yield
        finally:
            with self._freed:
                self._held -= pixels
                self._freed.notify_all()
