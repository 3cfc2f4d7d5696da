"""BLAS on one thread where more would wait for each other, and work that is shared out instead."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from typing import Any, TypeVar

Part = TypeVar("Part")
Result = TypeVar("Result")


@contextmanager
def one_thread() -> Iterator[None]:
    """BLAS and OpenMP on one thread inside the `with`, where threadpoolctl (it comes with scikit-learn) is there.

    For small matrices: on busy machines BLAS threads wait for each other far longer than they work.
    """
    libraries = _libraries()
    with libraries.limit(limits=1) if libraries else nullcontext():
        yield


def in_threads(work: Callable[[Part], Result], parts: Sequence[Part]) -> Iterator[Result]:
    """The results of `work` in the order of the parts; as many run at a time as BLAS may have threads now.

    Each has BLAS on one thread: what is not a matrix product runs side by side too, which BLAS threads
    alone would leave to one core.

    >>> list(in_threads(lambda part: part * 2, [1, 2, 3]))
    [2, 4, 6]
    """
    libraries = _libraries() if len(parts) > 1 else None
    told = [one["num_threads"] for one in libraries.info() if one["user_api"] == "blas"] if libraries else []
    count = min(len(parts), max(told, default=1))
    if libraries is None or count < 2:
        yield from map(work, parts)
        return
    with libraries.limit(limits=1), ThreadPoolExecutor(count) as pool:
        yield from pool.map(work, parts)


def _libraries() -> Any:
    """The BLAS and OpenMP that are loaded now, looked for once (2 ms); None without threadpoolctl."""
    try:
        from threadpoolctl import ThreadpoolController
    except ImportError:
        return None
    return ThreadpoolController()
