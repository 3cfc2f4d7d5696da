"""BLAS on one thread where more would wait for each other, and work that is shared out instead."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

Part = TypeVar("Part")
Result = TypeVar("Result")


@contextmanager
def one_thread() -> Iterator[None]:
    """BLAS and OpenMP on one thread inside the `with`, where threadpoolctl (it comes with scikit-learn) is there.

    For small matrices: on busy machines BLAS threads wait for each other far longer than they work.
    """
    try:
        from threadpoolctl import threadpool_limits
    except ImportError:
        yield
        return
    with threadpool_limits(1):
        yield


def in_threads(work: Callable[[Part], Result], parts: Sequence[Part]) -> Iterator[Result]:
    """The results of `work` in the order of the parts; as many run at a time as BLAS may have threads now.

    Each has BLAS on one thread: what is not a matrix product runs side by side too, which BLAS threads
    alone would leave to one core.

    >>> list(in_threads(lambda part: part * 2, [1, 2, 3]))
    [2, 4, 6]
    """
    count = min(len(parts), _threads()) if len(parts) > 1 else 1
    if count < 2:
        yield from map(work, parts)
        return
    with one_thread(), ThreadPoolExecutor(count) as pool:
        yield from pool.map(work, parts)


def _threads() -> int:
    """How many threads BLAS may use now; 1 where that cannot be told."""
    try:
        from threadpoolctl import threadpool_info
    except ImportError:
        return 1
    return max((one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"), default=1)
