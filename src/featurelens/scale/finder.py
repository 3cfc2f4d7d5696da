"""Searching a table: in memory and exactly up to 100,000 images, above through Lance's IVF_RQ index."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import RLock
from typing import Any

import numpy as np

from featurelens.errors import GalleryError
from featurelens.scale.columns import called, matrix_of
from featurelens.scale.filters import where
from featurelens.scale.table import Table
from featurelens.scale.upkeep import EXACT_BELOW, PROBES, REFINE, partitions
from featurelens.scale.view import HAVE_VECTORS, View, all_vectors
from featurelens.search import rows
from featurelens.search.cache import State
from featurelens.search.exact import Found, exact_nearest, rescored
from featurelens.search.finding import Limits
from featurelens.search.hit import Hit
from featurelens.search.vectors import Block, Snapshot
from featurelens.shapes import Float32, Int

IN_MEMORY = 1_000_000  # rows; more are searched, but not leafed through or compared pair by pair
_SAMPLE = 20_000
_SHOWN = ["id", "path", "label", "width", "height"]


class TableFinder:
    """Searches the newest version of a table; safe to use from several threads."""

    def __init__(self, table: Table, dim: int, epoch: str, *, exact_below: int = EXACT_BELOW) -> None:
        self._table, self._dim, self._epoch, self._exact_below = table, dim, epoch, exact_below
        self._lock = RLock()
        self._view: View | None = None
        self._small: tuple[int, bool] | None = None
        self._sampled: tuple[int, Snapshot] | None = None
        self.nearest = TableNearest(self)

    @property
    def writable(self) -> bool:
        """The folder for caches is this machine's own."""
        return True

    def dataset(self) -> tuple[Any, bool]:
        """The Lance dataset as of now, and whether it is small enough to be searched in memory."""
        dataset = self._table.latest()
        with self._lock:
            if self._small is None or self._small[0] != dataset.version:
                small = dataset.count_rows(HAVE_VECTORS) < self._exact_below
                self._small = (dataset.version, small)
            return dataset, self._small[1]

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """The table's rows in SQLite; GalleryError where it is too large for that."""
        with self._table.reading() as dataset:
            count = dataset.count_rows(HAVE_VECTORS)
        if count > IN_MEMORY:
            raise GalleryError(
                f"{self._table.address} holds {count:,} images; leafing through them and comparing them pair by pair "
                f"is offered up to {IN_MEMORY:,}. Searching works at any size."
            )
        with self._lock:
            yield self.view(dataset).connection

    def view(self, dataset: Any) -> View:
        """The rows and vectors of this version in memory, as far as can be those of the version before."""
        with self._lock:
            if self._view is None or self._view.version != dataset.version:
                self._view = View(dataset, self._epoch, self._dim, self._view)
            return self._view

    def snapshot(self) -> Snapshot:
        """All vectors, or 20,000 evenly spread ones of a table that is searched through its index."""
        with self._table.reading():
            dataset, small = self.dataset()
            if small:
                return self.view(dataset).snapshot
            with self._lock:
                if self._sampled is None or self._sampled[0] != dataset.version:
                    self._sampled = (dataset.version, self._sample(dataset))
                return self._sampled[1]

    def _sample(self, dataset: Any) -> Snapshot:
        count = dataset.count_rows()
        at = np.linspace(0, count - 1, min(count, _SAMPLE)).astype(np.int64)
        some = dataset.take(np.unique(at).tolist(), columns=["id", "status", "vector"])
        some = some.filter([status == "indexed" for status in some.column("status").to_pylist()])
        ids = np.asarray(some.column("id"))
        order = np.argsort(ids)
        block = Block(ids[order], matrix_of(some.column("vector"), self._dim)[order])
        return Snapshot(State(self._epoch, count, 0), (block,))

    def hits(self, root: Path, units: Float32[np.ndarray, "query dim"], limits: Limits) -> list[list[Hit]]:
        """The hits of each query, best first."""
        with self._table.reading():
            found = self._hits(root, units, limits)
        least = limits.min_similarity
        return found if least is None else [[h for h in hits if h.similarity >= least] for hits in found]

    def _hits(self, root: Path, units: Float32[np.ndarray, "query dim"], limits: Limits) -> list[list[Hit]]:
        dataset, small = self.dataset()
        filtered = limits.path is not None or limits.label is not None
        if small:
            view = self.view(dataset)
            with self._lock:
                allowed = rows.ids_where(view.connection, limits.path, limits.label) if filtered else None
            ids, cosines = exact_nearest(view.snapshot, units, limits.k, allowed=allowed)
            with self._lock:
                return [
                    rows.hits_of(view.connection, root, some.tolist(), values.tolist())
                    for some, values in zip(ids, cosines, strict=True)
                ]
        wanted = where(limits.path, limits.label) if filtered else None
        # few rows are compared one by one; many through the index, as without a filter
        exact = bool(limits.exact) or (filtered and dataset.count_rows(wanted) < self._exact_below)
        return [self._through_index(dataset, root, unit, limits.k, wanted, exact) for unit in units]

    def _through_index(
        self,
        dataset: Any,
        root: Path,
        unit: Float32[np.ndarray, " dim"],
        k: int,
        wanted: str | None,
        exact: bool,
    ) -> list[Hit]:
        table = nearest_rows(dataset, unit, k, columns=[*_SHOWN, "vector"], wanted=wanted, exact=exact)
        ids = np.asarray(table.column("id"))
        order, cosines = rescored(ids, matrix_of(table.column("vector"), self._dim), unit, k)
        about = {row["id"]: row for row in table.select(_SHOWN).to_pylist()}
        return [
            hit_of(about[one], root, value)
            for one, value in zip(order.tolist(), cosines.tolist(), strict=True)
        ]


class TableNearest:
    """Vectors against vectors, for the parts of the search room that need no rows."""

    def __init__(self, finder: TableFinder) -> None:
        self._finder = finder

    def snapshot(self, connection: sqlite3.Connection) -> Snapshot:
        """All vectors of the version that `reading` shows."""
        dataset, _ = self._finder.dataset()
        return self._finder.view(dataset).snapshot

    def search(
        self,
        snapshot: Snapshot,
        queries: Float32[np.ndarray, "query dim"],
        k: int,
        *,
        allowed: Int[np.ndarray, " allowed"] | None = None,
        exact: bool | None = None,
    ) -> Found:
        """For each query the ids and cosines of its k nearest."""
        dataset, small = self._finder.dataset()
        if small or allowed is not None:
            return exact_nearest(snapshot, queries, k, allowed=allowed)
        found = []
        for query in queries:
            table = nearest_rows(dataset, query, k, columns=["id", "vector"], wanted=None, exact=bool(exact))
            found.append(
                rescored(
                    np.asarray(table.column("id")), matrix_of(table.column("vector"), len(query)), query, k
                )
            )
        return [ids for ids, _ in found], [cosines for _, cosines in found]


def nearest_rows(
    dataset: Any,
    unit: Float32[np.ndarray, " dim"],
    k: int,
    *,
    columns: list[str],
    wanted: str | None,
    exact: bool,
) -> Any:
    """The rows nearest to a vector as an Arrow table: through the index with refining, or one by one.

    Rows without a vector are near to nothing, so that only a user's own limits need a filter (`wanted`).
    """
    how = {"use_index": False} if exact else {"nprobes": _probes(dataset, k, wanted), "refine_factor": REFINE}
    query = {"column": "vector", "q": unit, "k": k, "metric": "cosine", **how}
    rules = {"filter": wanted, "prefilter": True, "disable_scoring_autoprojection": True}
    return dataset.to_table(columns=columns, nearest=query, **rules)


def _probes(dataset: Any, k: int, wanted: str | None) -> int:
    """How many cells of the index are looked at: all where a filter may have its rows in any, else enough for `k`."""
    count = dataset.count_rows()
    cells = partitions(count)
    return max(PROBES, cells if wanted is not None else min(cells, -(-4 * k * cells // max(1, count))))


def hit_of(row: dict[str, Any], root: Path, similarity: float) -> Hit:
    """A row of a table as a hit."""
    name = called(row["path"])
    return Hit(row["id"], name, root / name, similarity, row["label"], row["width"] or 0, row["height"] or 0)


def features_rows(dataset: Any, dim: int) -> Any:
    """Ids, names, labels and vectors of everything, by id."""
    table = dataset.to_table(columns=["id", "path", "label"], filter=HAVE_VECTORS).sort_by("id")
    ids, vectors = all_vectors(dataset, dim, HAVE_VECTORS)
    return (
        ids,
        [called(p) for p in table.column("path").to_pylist()],
        table.column("label").to_pylist(),
        vectors,
    )
