"""Approximate nearest neighbours for large galleries: a usearch HNSW graph as one more cache file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from featurelens.search.cache import Entry, State, intact, made
from featurelens.search.vectors import Snapshot
from featurelens.shapes import Float32, Int, Int8

# Malkov & Yashunin, "Efficient and robust approximate nearest neighbor search using HNSW graphs", 2018.
NAME = "hnsw"
CONNECTIVITY = 24
EXPANSION_ADD = 96
EXPANSION_SEARCH = 256
KIND = f"i8-{CONNECTIVITY}-{EXPANSION_ADD}"
_PAGE = 65536
_ALONE = 2000


class Graph:
    """An opened graph: it knows the ids up to `state.top`; what came later is searched exactly."""

    def __init__(self, index: Any, state: State, rows: int) -> None:
        self._index, self.state, self.rows = index, state, rows
        self._one_wide = Lock()

    def candidates(self, query: Float32[np.ndarray, " dim"], count: int) -> Int[np.ndarray, " found"]:
        """The ids of about `count` near rows, some of which may be gone from the gallery."""
        with self._as_wide_as(2 * count):
            found = self._index.search(_quantised(query[None])[0], min(count, self.rows), threads=1)
        return np.asarray(found.keys).astype(np.int64)

    @contextmanager
    def _as_wide_as(self, expansion: int) -> Iterator[None]:
        """Searches share the index's one setting: wider ones wait for each other, others are never narrowed by them."""
        if expansion <= EXPANSION_SEARCH:
            yield
            return
        with self._one_wide:
            self._index.expansion_search = expansion
            try:
                yield
            finally:
                self._index.expansion_search = EXPANSION_SEARCH


def open_graph(folder: Path, entry: Entry) -> Graph | None:
    """The graph of this entry, memory-mapped; None where it is not whole."""
    if not entry.rows or not intact(folder, entry):  # a torn file would crash the process
        return None
    index = _empty(entry.dim)
    try:
        index.view(str(folder / entry.file))
    except RuntimeError:
        return None  # replaced by a newer one just now
    return Graph(index, entry.state, entry.rows)


def write_graph(
    folder: Path,
    dim: int,
    snapshot: Snapshot,
    before: Entry | None = None,
    *,
    threads: int,
    on_progress: Callable[[int, int], object] | None = None,
) -> Entry:
    """Extend the graph `before` by the rows it lacks, or build it anew if many of its rows are gone."""
    index, known = _start(folder, dim, snapshot, before)
    total = sum(int((block.ids > known).sum()) for block in snapshot.blocks)
    done = 0
    for block in snapshot.blocks:
        first = int(np.searchsorted(block.ids, known, "right"))
        for start in range(first, len(block.ids), _PAGE):
            ids, rows = block.ids[start : start + _PAGE], block.vectors[start : start + _PAGE]
            if block.dead is not None:
                alive = ~block.dead[start : start + _PAGE]
                ids, rows = ids[alive], rows[alive]
            _add(index, ids, rows, threads)
            done += len(ids)
            if on_progress is not None:
                on_progress(done, total)

    def write(path: Path) -> tuple[int, State]:
        try:
            index.save(str(path))
        except RuntimeError as error:  # what usearch calls a full disk
            raise OSError(str(error)) from error
        return len(index), snapshot.state

    return made(folder, NAME, write, dim=dim, kind=KIND)


def _add(
    index: Any, ids: Int[np.ndarray, " row"], rows: Float32[np.ndarray, "row dim"], threads: int
) -> None:
    """Insert rows; the first ones one by one, since threads that start together leave nodes unconnected."""
    keys, first = ids.astype(np.uint64), max(0, min(len(ids), _ALONE - len(index)))
    small = _quantised(rows)
    if first:
        index.add(keys[:first], small[:first], threads=1)
    if first < len(ids):
        index.add(keys[first:], small[first:], threads=threads)


def _quantised(rows: Float32[np.ndarray, "row dim"]) -> Int8[np.ndarray, "row dim"]:
    """Rows as int8, each stretched to the full range: a cosine does not see the length, exact re-scoring the rest."""
    return np.rint(rows * (127 / np.abs(rows).max(1, keepdims=True))).astype(np.int8)


def _start(folder: Path, dim: int, snapshot: Snapshot, before: Entry | None) -> tuple[Any, int]:
    """The graph to extend and the highest id it knows; an empty one if more than a fifth of it is dead."""
    index = _empty(dim)
    if before is None or not intact(folder, before) or not _still_good(before, snapshot):
        return index, 0
    index.load(str(folder / before.file))
    return index, before.state.top


def _still_good(entry: Entry, snapshot: Snapshot) -> bool:
    known = 0
    for block in snapshot.blocks:
        upto = int(np.searchsorted(block.ids, entry.state.top, "right"))
        known += upto if block.dead is None else int((~block.dead[:upto]).sum())
    return known >= 0.8 * entry.rows


def _empty(dim: int) -> Any:
    from usearch.index import Index

    return Index(
        ndim=dim,
        metric="cos",
        dtype="i8",
        connectivity=CONNECTIVITY,
        expansion_add=EXPANSION_ADD,
        expansion_search=EXPANSION_SEARCH,
        enable_key_lookups=False,
    )
