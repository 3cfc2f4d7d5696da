"""Exact nearest neighbours: a matrix product in chunks, then the best ones again in float64."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from featurelens.search.vectors import Snapshot, positions
from featurelens.shapes import Bool, Float32, Float64, Int

_PRODUCTS = 1 << 24  # cosines held at once; few large products are faster than many small ones
_GATHERED = 1 << 26  # numbers copied at once to pick single rows
_SPARE = 16  # float32 sums may swap neighbours that are closer than 1e-7; the second look decides

Found = tuple[list[Int[np.ndarray, " hit"]], list[Float64[np.ndarray, " hit"]]]


def exact_nearest(
    snapshot: Snapshot,
    queries: Float32[np.ndarray, "query dim"],
    k: int,
    *,
    allowed: Int[np.ndarray, " allowed"] | None = None,
    after: int = 0,
) -> Found:
    """For each query the ids and cosines of its k nearest, best first; equal cosines by ascending id.

    `allowed` (ascending ids) restricts the search; `after` looks only at ids above it.
    """
    width = k + _SPARE
    best = [_Best(width) for _ in queries]
    for ids, rows, left_out in _chunks(snapshot, allowed, after, max(1, _PRODUCTS // max(1, len(queries)))):
        products = queries @ rows.T
        if left_out is not None:
            products[:, left_out] = -np.inf
        for query, line in enumerate(products):
            best[query].offer(ids, rows, line)
    results = [one.final(query, k) for one, query in zip(best, queries, strict=True)]
    return [ids for ids, _ in results], [cosines for _, cosines in results]


def rescored(
    ids: Int[np.ndarray, " row"],
    rows: Float32[np.ndarray, "row dim"],
    query: Float32[np.ndarray, " dim"],
    k: int,
) -> tuple[Int[np.ndarray, " hit"], Float64[np.ndarray, " hit"]]:
    """The k best of some rows, with cosines computed in float64 so that equal rows get equal values."""
    cosines = np.clip((rows.astype(np.float64) * query.astype(np.float64)).sum(1), -1.0, 1.0)
    order = np.lexsort((ids, -cosines))[:k]
    return ids[order], cosines[order]


class _Best:
    """The best rows of one query so far."""

    def __init__(self, width: int) -> None:
        self._width = width
        self._ids: list[np.ndarray] = []
        self._rows: list[np.ndarray] = []
        self._products: list[np.ndarray] = []
        self._waiting = 0

    def offer(self, ids: np.ndarray, rows: np.ndarray, products: np.ndarray) -> None:
        top = _largest(products, self._width)
        top = top[products[top] > -np.inf]
        self._ids.append(ids[top])
        self._rows.append(rows[top])
        self._products.append(products[top])
        self._waiting += len(top)
        if self._waiting > 8 * self._width:
            self._settle()

    def final(self, query: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        if not self._ids:
            return np.empty(0, np.int64), np.empty(0, np.float64)
        self._settle()
        return rescored(self._ids[0], self._rows[0], query, k)

    def _settle(self) -> None:
        products = np.concatenate(self._products)
        top = _largest(products, self._width)
        self._ids, self._rows = [np.concatenate(self._ids)[top]], [np.concatenate(self._rows)[top]]
        self._products, self._waiting = [products[top]], len(top)


def _largest(values: np.ndarray, count: int) -> np.ndarray:
    if len(values) <= count:
        return np.arange(len(values))
    return np.argpartition(values, len(values) - count)[-count:]


Chunk = tuple[Int[np.ndarray, " row"], Float32[np.ndarray, "row dim"], Bool[np.ndarray, " row"] | None]


def _chunks(
    snapshot: Snapshot, allowed: Int[np.ndarray, " allowed"] | None, after: int, size: int
) -> Iterator[Chunk]:
    """The rows to look at, and which of them to leave out; few allowed rows are picked, many are masked."""
    for block in snapshot.blocks:
        first = int(np.searchsorted(block.ids, after, "right"))
        left_out = block.dead
        if allowed is not None:
            chosen = positions(block.ids, allowed)
            chosen = chosen if block.dead is None else chosen[~block.dead[chosen]]
            if len(chosen) < len(block.ids) // 4:
                step = min(size, max(1, _GATHERED // block.vectors.shape[1]))
                for start in range(int(np.searchsorted(chosen, first)), len(chosen), step):
                    some = chosen[start : start + step]
                    yield block.ids[some], block.vectors[some], None
                continue
            left_out = np.ones(len(block.ids), bool)
            left_out[chosen] = False
        for start in range(first, len(block.ids), size):
            end = start + size
            mask = None if left_out is None or not left_out[start:end].any() else left_out[start:end]
            yield block.ids[start:end], block.vectors[start:end], mask
