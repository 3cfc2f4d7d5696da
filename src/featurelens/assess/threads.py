"""Small matrices on one core: on busy machines BLAS threads wait for each other far longer than they work."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def one_thread() -> Iterator[None]:
    """BLAS and OpenMP on one thread inside the `with`, where threadpoolctl (it comes with scikit-learn) is there."""
    try:
        from threadpoolctl import threadpool_limits
    except ImportError:
        yield
        return
    with threadpool_limits(1):
        yield
