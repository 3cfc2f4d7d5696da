"""A table of up to a million rows in memory: its rows in SQLite, so that all that leafs through them works alike."""

from __future__ import annotations

import os
import sqlite3
from threading import Lock
from typing import Any

import numpy as np

from featurelens.scale.columns import ABOUT, INDEXED, SKIPPED, called, matrix_of
from featurelens.search.cache import State
from featurelens.search.schema import memory_database
from featurelens.search.vectors import Block, Snapshot, positions
from featurelens.shapes import Float32, Int

IMAGES = f"status IN ('{INDEXED}', '{SKIPPED}')"
HAVE_VECTORS = f"status = '{INDEXED}'"


class View:
    """The rows of one version and, once they are asked for, its vectors; never changed, for any thread to search."""

    def __init__(self, dataset: Any, epoch: str, dim: int, before: View | None = None) -> None:
        self.version = dataset.version
        self.connection = _mirror(dataset)
        self._dataset, self._epoch, self._dim = dataset, epoch, dim
        self._known: tuple[Block, ...] = (
            () if before is None else before._known
        )  # what need not be read again
        self._snapshot: Snapshot | None = None
        self._lock = Lock()

    @property
    def snapshot(self) -> Snapshot:
        """All vectors; read at the first call."""
        with self._lock:
            if self._snapshot is None:
                query = "SELECT id FROM images WHERE status = 'indexed' ORDER BY id"
                ids = np.fromiter((row[0] for row in self.connection.execute(query)), np.int64)
                if len(ids):
                    self._known = (Block(ids, _vectors(self._dataset, ids, self._dim, self._known)),)
                top = int(ids[-1]) if len(ids) else 0
                state = State(self._epoch, top, top - len(ids))
                self._snapshot = Snapshot(state, self._known if len(ids) else ())
            return self._snapshot


def _mirror(dataset: Any) -> sqlite3.Connection:
    connection = memory_database()
    marks = ", ".join("?" * len(ABOUT))
    for batch in dataset.to_batches(columns=list(ABOUT), filter=IMAGES):
        columns = [batch.column(name).to_pylist() for name in ABOUT]
        columns[1] = [os.fsencode(called(text)) for text in columns[1]]
        connection.executemany(
            f"INSERT INTO images ({', '.join(ABOUT)}) VALUES ({marks})", zip(*columns, strict=True)
        )
    connection.execute("UPDATE counts SET n = (SELECT count(*) FROM images i WHERE i.status = counts.status)")
    connection.commit()
    return connection


def _vectors(
    dataset: Any, ids: Int[np.ndarray, " row"], dim: int, known: tuple[Block, ...]
) -> Float32[np.ndarray, "row dim"]:
    """The vectors of ascending ids: those that are known already, and what has come since from the table."""
    matrix = np.empty((len(ids), dim), np.float32)
    missing = np.ones(len(ids), bool)
    for block in known:
        at = positions(ids, block.ids)
        matrix[at], missing[at] = block.vectors[positions(block.ids, ids[at])], False
    if missing.any():
        where = f"{HAVE_VECTORS} AND id >= {ids[missing][0]}"
        for batch in dataset.to_batches(columns=["id", "vector"], filter=where):
            found = np.asarray(batch.column("id"))
            order = np.argsort(found)
            rows = np.asarray(batch.column("vector").flatten()).reshape(-1, dim)[order]
            at = positions(ids, found[order])
            matrix[at] = rows[positions(found[order], ids[at])]
    return matrix


def all_vectors(
    dataset: Any, dim: int, where: str
) -> tuple[Int[np.ndarray, " row"], Float32[np.ndarray, "row dim"]]:
    """Ids and vectors of the rows that pass a filter, by id."""
    table = dataset.to_table(columns=["id", "vector"], filter=where)
    ids = np.asarray(table.column("id"))
    order = np.argsort(ids)
    return ids[order], matrix_of(table.column("vector"), dim)[order]
