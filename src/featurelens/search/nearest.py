"""Nearest neighbours of vectors in a gallery: exact up to about 100,000 images, HNSW with re-scoring above."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from threading import Lock
from typing import Protocol, runtime_checkable

import numpy as np

from featurelens.search import hnsw, vectors
from featurelens.search.cache import Entry, entry_of
from featurelens.search.exact import Found, exact_nearest, rescored
from featurelens.search.hnsw import Graph, open_graph
from featurelens.search.vectors import Snapshot, Vectors, positions
from featurelens.shapes import Float32, Float64, Int

GRAPH_FROM = 100_000


@runtime_checkable
class Searcher(Protocol):
    """What finds the nearest vectors of a gallery."""

    def snapshot(self, connection: sqlite3.Connection) -> Snapshot:
        """The vectors as of now."""
        ...

    def search(
        self,
        snapshot: Snapshot,
        queries: Float32[np.ndarray, "query dim"],
        k: int,
        *,
        allowed: Int[np.ndarray, " allowed"] | None = None,
        exact: bool | None = None,
    ) -> Found:
        """For each query the ids and cosines of its k nearest, best first."""
        ...


class Nearest:
    """Searches the newest state that its connection shows; safe to use from several threads."""

    def __init__(self, folder: Path, dim: int, epoch: str) -> None:
        self._folder, self._dim, self._epoch = folder, dim, epoch
        self._lock = Lock()
        self._version = -1
        self._connection: sqlite3.Connection | None = None
        self._hold_nothing()

    def _hold_nothing(self) -> None:
        """For a file that was opened anew: it may be a backup put back, in which ids have other vectors."""
        self._vectors = Vectors(self._folder, self._dim, self._epoch, None)
        self._cached: Entry | None = None
        self._graph: Graph | None = None
        self._graph_cached: Entry | None = None
        self._graph_tried: Entry | None = None

    def snapshot(self, connection: sqlite3.Connection) -> Snapshot:
        """All vectors as of now; costs next to nothing when the database has not changed."""
        with self._lock:
            (version,) = connection.execute("PRAGMA data_version").fetchone()
            if version != self._version or connection is not self._connection:
                if connection is not self._connection:
                    self._hold_nothing()
                self._take_caches(connection)
                self._vectors.refresh(connection)
                self._version, self._connection = version, connection
            return self._vectors.snapshot

    def _take_caches(self, connection: sqlite3.Connection) -> None:
        """Go over to newer cache files, so that what came since the last ones is neither kept in memory nor compared."""
        cached = entry_of(connection, self._folder, vectors.NAME, dim=self._dim, kind=vectors.KIND)
        if cached is not None and cached != self._cached:
            newer, self._cached = Vectors(self._folder, self._dim, self._epoch, cached), cached
            if newer.snapshot.blocks:
                self._vectors = newer
        self._graph_cached = entry_of(connection, self._folder, hnsw.NAME, dim=self._dim, kind=hnsw.KIND)

    def search(
        self,
        snapshot: Snapshot,
        queries: Float32[np.ndarray, "query dim"],
        k: int,
        *,
        allowed: Int[np.ndarray, " allowed"] | None = None,
        exact: bool | None = None,
    ) -> Found:
        """For each query the ids and cosines of its k nearest, best first.

        `exact`: True compares with every vector, None and False use the graph where there is one and
        nothing is filtered (a filtered search is always exact).
        """
        graph = None if exact or allowed is not None else self._opened_graph(snapshot)
        if graph is None:
            return exact_nearest(snapshot, queries, k, allowed=allowed)
        found = [through_graph(graph, snapshot, query, k) for query in queries]
        return [ids for ids, _ in found], [cosines for _, cosines in found]

    def _opened_graph(self, snapshot: Snapshot) -> Graph | None:
        with self._lock:
            cached = self._graph_cached
            if cached is not None and cached != self._graph_tried and snapshot.alive >= GRAPH_FROM:
                self._graph = open_graph(self._folder, cached) or self._graph
                self._graph_tried = cached
            return self._graph


def through_graph(
    graph: Graph, snapshot: Snapshot, query: Float32[np.ndarray, " dim"], k: int
) -> tuple[Int[np.ndarray, " hit"], Float64[np.ndarray, " hit"]]:
    """The k nearest by way of the graph: its candidates and the rows it does not know yet, by exact cosines."""
    count = 2 * k + 32
    while True:
        ids, rows = _rows(snapshot, np.sort(graph.candidates(query, count)))
        if len(ids) >= min(k, snapshot.alive) or count >= graph.rows:
            break
        count *= 4  # many of the candidates are gone from the gallery
    late_ids, _ = exact_nearest(snapshot, query[None], k, after=graph.state.top)
    more_ids, more_rows = _rows(snapshot, np.sort(late_ids[0]))
    return rescored(np.concatenate([ids, more_ids]), np.concatenate([rows, more_rows]), query, k)


def _rows(
    snapshot: Snapshot, wanted: Int[np.ndarray, " wanted"]
) -> tuple[Int[np.ndarray, " row"], Float32[np.ndarray, "row dim"]]:
    """The living rows among the wanted ids."""
    ids, rows = [np.empty(0, np.int64)], []
    for block in snapshot.blocks:
        at = positions(block.ids, wanted)
        if block.dead is not None:
            at = at[~block.dead[at]]
        ids.append(block.ids[at])
        rows.append(block.vectors[at])
    dim = snapshot.blocks[0].vectors.shape[1] if snapshot.blocks else 0
    return np.concatenate(ids), np.concatenate([np.empty((0, dim), np.float32), *rows])
