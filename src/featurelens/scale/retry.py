"""Trying again what a busy store or another writer has thwarted."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
ATTEMPTS = 10
_PASSING = (
    "conflict",
    "retry",
    "concurrent",
    "503",
    "slow down",
    "slowdown",
    "serviceunavailable",
    "service unavailable",
    "internal error",
    "timed out",
    "timeout",
    "connection",
    "too many",
)


def passing(error: BaseException) -> bool:
    """Whether an error of Lance or of a store is one that goes away by itself."""
    text = str(error).lower()
    return any(word in text for word in _PASSING)


def again(
    action: Callable[[], T], *, attempts: int = ATTEMPTS, before_next: Callable[[], object] | None = None
) -> T:
    """Call `action` until it works; after a passing error wait (longer each time) and call `before_next` first."""
    for attempt in range(1, attempts + 1):
        try:
            return action()
        except (OSError, RuntimeError, ValueError) as error:
            if attempt == attempts or not passing(error):
                raise
        time.sleep(min(8.0, 0.05 * 2**attempt) * random.uniform(0.5, 1.0))
        if before_next is not None:
            before_next()
    raise AssertionError("unreachable")
