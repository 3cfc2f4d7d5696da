"""Batches of parts: items of several equal parts each are embedded part by part, and each gets the mean."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from threading import Event, Semaphore
from typing import Any, TypeVar

import numpy as np

from featurelens.errors import InvalidInput, ReadError
from featurelens.images.batches import Batch, check_sizes, in_order
from featurelens.images.item import Item
from featurelens.shapes import Float, Float32

T = TypeVar("T")
M = TypeVar("M")
Embed = Callable[[Any], Float[np.ndarray, "part dim"]]


def in_parts(
    items: Iterable[T],
    load: Callable[[T], tuple[Item, M]],
    embed: Embed,
    *,
    shape: Sequence[int],
    dtype: Any,
    batch_size: int,
    workers: int,
    streams: int,
) -> Iterator[Batch[T, M, Float32[np.ndarray, "item dim"]]]:
    """`in_batches` for items of any number of parts: at most `batch_size` parts lie in a thread's memory at once.

    A row of the result is the mean of the vectors of an item's parts, each at length one first. ReadError from `load`
    or while the parts are read makes the whole item a failure.
    """
    check_sizes(batch_size=batch_size, workers=workers, streams=streams)
    stop, slots = Event(), Semaphore(streams)

    def taking_turns(parts: np.ndarray) -> np.ndarray | None:
        with slots:
            return None if stop.is_set() else embed(parts)

    def one(chunk: list[T]) -> Batch[T, M, Float32[np.ndarray, "item dim"]]:
        pile = _Pile(taking_turns, (len(chunk), *shape), np.dtype(dtype))
        done: list[T] = []
        metas: list[M] = []
        failures: list[tuple[T, ReadError]] = []
        for item in chunk:
            if stop.is_set():
                break
            try:
                loaded, meta = load(item)
                pile.add(len(done), loaded.parts)
            except ReadError as error:
                pile.drop(len(done))
                failures.append((item, error))
                continue
            done.append(item)
            metas.append(meta)
        return Batch(done, metas, failures, pile.means(len(done)) if done else None)

    return in_order(iter(items), one, batch_size, workers, stop)


def mean_vector(embed: Embed, item: Item, *, batch_size: int = 8) -> Float32[np.ndarray, " dim"]:
    """The vector of one item as `in_parts` makes it, not normalised; ReadError if its parts can't be read."""
    pile: _Pile | None = None
    for part in item.parts:
        pile = pile or _Pile(embed, (batch_size, *part.shape), part.dtype)
        pile.add(0, [part])
    if pile is None:
        raise ReadError("it holds nothing to embed")
    found = pile.means(1)
    assert found is not None
    return found[0]


class _Pile:
    """Parts wait in one array until it is full, then they are embedded and added up for their owners."""

    def __init__(
        self, embed: Callable[[np.ndarray], np.ndarray | None], shape: tuple[int, ...], dtype: np.dtype[Any]
    ) -> None:
        self._embed, self._waiting = embed, np.empty(shape, dtype)
        self._owners: list[int] = []
        self._sums: dict[int, np.ndarray] = {}
        self._lone: dict[int, np.ndarray] = {}
        self._stopped = False

    def add(self, owner: int, parts: Iterable[np.ndarray]) -> None:
        """All parts of one owner; ReadError where there is none."""
        none = True
        for part in parts:
            if len(self._owners) == len(self._waiting):
                self._flush()
            if part.shape != self._waiting.shape[1:]:
                raise InvalidInput(
                    f"The reader gave a part of shape {list(part.shape)}; expected {list(self._waiting.shape[1:])}."
                )
            self._waiting[len(self._owners)] = part
            self._owners.append(owner)
            none = False
        if none:
            raise ReadError("it holds nothing to embed")

    def drop(self, owner: int) -> None:
        """Forget the parts of an owner that could not be read to its end."""
        while self._owners and self._owners[-1] == owner:
            self._owners.pop()
        self._sums.pop(owner, None)
        self._lone.pop(owner, None)

    def means(self, count: int) -> Float32[np.ndarray, "item dim"] | None:
        """One row an owner; None where the work was stopped."""
        if self._owners:
            self._flush()
        if self._stopped:
            return None
        rows = [self._lone[i] if i in self._lone else self._sums[i] for i in range(count)]
        return np.stack(rows).astype(np.float32)

    def _flush(self) -> None:
        found = self._embed(self._waiting[: len(self._owners)])
        if found is None:
            self._stopped = True
        else:
            for owner, row in zip(self._owners, found, strict=True):
                self._take(owner, row.astype(np.float64))
        self._owners.clear()

    def _take(self, owner: int, row: np.ndarray) -> None:
        """A single part keeps its vector as it is; of several the unit vectors are added up."""
        if owner in self._lone:
            self._sums[owner] = _unit(self._lone.pop(owner))
        if owner in self._sums:
            self._sums[owner] += _unit(row)
        else:
            self._lone[owner] = row


def _unit(row: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(row)
    return row / length if length > 0 else row
