"""A table of up to a million rows in memory: its rows in SQLite, so that all that leafs through them works alike."""

from __future__ import annotations

import os
import sqlite3
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
    """The rows and the vectors of one version; never changed, so any thread may search the vectors."""

    def __init__(self, dataset: Any, epoch: str, dim: int, before: View | None = None) -> None:
        self.version = dataset.version
        self.connection = _mirror(dataset)
        query = "SELECT id FROM images WHERE status = 'indexed' ORDER BY id"
        ids = np.fromiter((row[0] for row in self.connection.execute(query)), np.int64)
        vectors = _vectors(dataset, ids, dim, before)
        top = int(ids[-1]) if len(ids) else 0
        self.snapshot = Snapshot(
            State(epoch, top, top - len(ids)), (Block(ids, vectors),) if len(ids) else ()
        )


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
    dataset: Any, ids: Int[np.ndarray, " row"], dim: int, before: View | None
) -> Float32[np.ndarray, "row dim"]:
    """The vectors of ascending ids: those of the view before, and what has come since from the table."""
    matrix = np.empty((len(ids), dim), np.float32)
    missing = np.ones(len(ids), bool)
    for block in before.snapshot.blocks if before is not None else ():
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
