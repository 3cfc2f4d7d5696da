"""Look-ahead decoding: a few threads load and work on batches, results come in order, memory stays bounded."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from threading import Event, Semaphore
from typing import Generic, TypeVar

import numpy as np

from featurelens.errors import InvalidInput, ReadError
from featurelens.shapes import UInt8

T = TypeVar("T")
M = TypeVar("M")
R = TypeVar("R")


@dataclass(frozen=True)
class Batch(Generic[T, M, R]):
    """A chunk of the items, worked on: `items`, `metas` and the rows of `result` correspond.

    `failures` are the items of the chunk that could not be loaded; `result` is None if all failed.
    """

    items: list[T]
    metas: list[M]
    failures: list[tuple[T, ReadError]]
    result: R | None


def in_batches(
    items: Iterable[T],
    load: Callable[[T], tuple[UInt8[np.ndarray, "row col 3"], M]],
    work: Callable[[UInt8[np.ndarray, "batch row col 3"]], R],
    *,
    shape: tuple[int, int],
    batch_size: int,
    workers: int,
    streams: int,
) -> Iterator[Batch[T, M, R]]:
    """Load `items` in chunks of `batch_size`, call `work` on each chunk's pixels, yield the batches in order.

    Each of the `workers` threads fills its own uint8 array [batch, row, col, 3] of `shape` (rows, cols) and
    calls `work` itself, at most `streams` threads at once. `items` is read by the consuming thread, at most
    2 x `workers` chunks ahead of what it has received. ReadError from `load` becomes a failure; any other
    exception ends the iteration after the batches before it. Closing the generator stops and joins the threads.
    Raises InvalidInput for sizes below one.

    >>> batches = in_batches([1, 2, 3], lambda i: (np.full((4, 4, 3), i, np.uint8), i), lambda x: x.max(),
    ...                      shape=(4, 4), batch_size=2, workers=2, streams=1)
    >>> [int(batch.result) for batch in batches]
    [2, 3]
    """
    check_sizes(batch_size=batch_size, workers=workers, streams=streams)
    stop, slots = Event(), Semaphore(streams)

    def one(chunk: list[T]) -> Batch[T, M, R]:
        pixels = np.empty((len(chunk), *shape, 3), np.uint8)
        done: list[T] = []
        metas: list[M] = []
        failures: list[tuple[T, ReadError]] = []
        for item in chunk:
            if stop.is_set():
                break
            try:
                image, meta = load(item)
            except ReadError as error:
                failures.append((item, error))
                continue
            if image.shape != pixels.shape[1:]:
                raise InvalidInput(
                    f"load gave pixels of shape {image.shape} for a batch of {pixels.shape[1:]}."
                )
            pixels[len(done)] = image
            done.append(item)
            metas.append(meta)
        result = None
        if done:
            with slots:
                if not stop.is_set():
                    result = work(pixels[: len(done)])
        return Batch(done, metas, failures, result)

    return in_order(iter(items), one, batch_size, workers, stop)


def check_sizes(**sizes: int) -> None:
    """InvalidInput for one that is below 1."""
    for name, value in sizes.items():
        if value < 1:
            raise InvalidInput(f"{name} is {value}; it must be at least 1.")


def in_order(
    items: Iterator[T],
    one: Callable[[list[T]], Batch[T, M, R]],
    batch_size: int,
    workers: int,
    stop: Event,
) -> Iterator[Batch[T, M, R]]:
    """Work on chunks of the items in `workers` threads, yield what `one` makes of each in their order.

    `stop` is set when the iteration ends, however it does; then the threads are joined.
    """
    pending: deque[Future[Batch[T, M, R]]] = deque()
    pool = ThreadPoolExecutor(workers, thread_name_prefix="featurelens-batch")
    try:
        while chunk := list(islice(items, batch_size)):
            pending.append(pool.submit(one, chunk))
            while len(pending) >= 2 * workers or (pending and pending[0].done()):
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        stop.set()
        pool.shutdown(wait=True, cancel_futures=True)
