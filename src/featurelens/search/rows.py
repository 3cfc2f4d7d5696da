"""The reader's side of the database."""

from __future__ import annotations

import os
import sqlite3
from array import array
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from featurelens.backbone.protocol import Spec
from featurelens.features.table import Features
from featurelens.search.hit import Hit
from featurelens.search.vectors import Snapshot, positions
from featurelens.shapes import Float32, Int

_MANY = 500  # variables in one statement


def hits_of(
    connection: sqlite3.Connection, root: Path, ids: Sequence[int], similarities: Sequence[float]
) -> list[Hit]:
    """The rows of these ids as hits, in the given order; ids that are gone meanwhile are left out."""
    found: dict[int, tuple] = {}
    for start in range(0, len(ids), _MANY):
        some = ids[start : start + _MANY]
        marks = ",".join("?" * len(some))
        rows = connection.execute(
            f"SELECT id, path, label, width, height FROM images WHERE id IN ({marks})", list(map(int, some))
        )
        found.update((row[0], row) for row in rows)
    pairs = zip(ids, similarities, strict=True)
    return [_hit(found[int(one)], root, value) for one, value in pairs if int(one) in found]


def _hit(row: tuple, root: Path, similarity: float) -> Hit:
    name = os.fsdecode(row[1])
    return Hit(row[0], name, root / name, float(similarity), row[2], row[3] or 0, row[4] or 0)


def all_hits(connection: sqlite3.Connection, root: Path) -> list[Hit]:
    """Every indexed image by name, with similarity 1."""
    rows = connection.execute(
        "SELECT id, path, label, width, height FROM images WHERE status = 'indexed' ORDER BY path"
    )
    return [_hit(row, root, 1.0) for row in rows]


def features_of(connection: sqlite3.Connection, snapshot: Snapshot, spec: Spec) -> Features:
    """The snapshot's living vectors with the names and labels of their rows, by id."""
    query = "SELECT id, path, label FROM images WHERE status = 'indexed' ORDER BY id"
    names: list[str] = []
    labels: list[str] = []
    ids = array("q")
    for one, path, label in connection.execute(query):
        ids.append(one)
        names.append(os.fsdecode(path))
        labels.append(label or "")
    wanted = np.frombuffer(ids, np.int64) if ids else np.empty(0, np.int64)
    vectors = np.empty((len(ids), spec.dim), np.float32)
    there = np.zeros(len(ids), bool)
    for block in snapshot.blocks:
        rows = positions(wanted, block.ids)
        vectors[rows] = block.vectors[positions(block.ids, wanted)]
        there[rows] = True
    features = Features(tuple(names), vectors, spec, tuple(labels) if any(labels) else None)
    return features if there.all() else features.select(there)


def ids_where(connection: sqlite3.Connection, path: str | None, label: str | None) -> Int[np.ndarray, " row"]:
    """The ids of indexed images under a path pattern and with a label, ascending.

    The pattern is a file or a folder with all below, by its own name; with `*`, `?` or `[` in it, it is also a glob
    over the whole relative name (`*` also takes '/').
    """
    where, values = ["status = 'indexed'"], []
    if label is not None:
        where.append("label = ?")
        values.append(storable(label))
    if path is not None:
        whole = os.fsencode(path.strip("/"))
        ways = ["path = ?", "substr(path, 1, ?) = ?"]
        values += [whole, len(whole) + 1, whole + b"/"]
        if any(c in path for c in "*?["):
            ways.append("CAST(path AS TEXT) GLOB CAST(? AS TEXT)")
            values.append(os.fsencode(path))
        where.append(f"({' OR '.join(ways)})")
    query = f"SELECT id FROM images WHERE {' AND '.join(where)} ORDER BY id"
    return np.fromiter((row[0] for row in connection.execute(query, values)), np.int64)


def id_of_name(connection: sqlite3.Connection, name: str) -> int | None:
    """The id of an indexed image by its relative name."""
    query = "SELECT id FROM images WHERE path = ? AND status = 'indexed'"
    found = connection.execute(query, (os.fsencode(name),)).fetchone()
    return found[0] if found else None


def vector_of(connection: sqlite3.Connection, one: int) -> Float32[np.ndarray, " dim"] | None:
    """The vector of one image, or None."""
    found = connection.execute("SELECT vector FROM vectors WHERE image = ?", (one,)).fetchone()
    return np.frombuffer(found[0], np.float32) if found else None


def count(connection: sqlite3.Connection, status: str) -> int:
    """How many files have this status."""
    return connection.execute("SELECT n FROM counts WHERE status = ?", (status,)).fetchone()[0]


def skipped(connection: sqlite3.Connection) -> list[tuple[str, str]]:
    """(name, reason) of every file that is not indexed, by name."""
    rows = connection.execute("SELECT path, reason FROM images WHERE status = 'skipped' ORDER BY path")
    return [(os.fsdecode(path), reason) for path, reason in rows]


def storable(label: str) -> str:
    """A label as the database can hold it: odd bytes of a folder's name are spelt out."""
    return label.encode("utf-8", "backslashreplace").decode()
