"""The writer's side of the database: each method is one change of one or more rows."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain

import numpy as np

from featurelens.search.content import Content, Picture
from featurelens.shapes import Float32

_COLUMNS = "path, size, mtime_ns, hash, width, height, format, label, status, reason"
_AT_ONCE = 100  # rows of one statement
_INSERT = f"INSERT INTO images ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"


@dataclass(frozen=True)
class Work:
    """A file that is new, or whose size or time differs from its row `old`."""

    n: int
    path: bytes
    size: int
    mtime_ns: int
    label: str | None
    old: int | None

    @property
    def name(self) -> str:
        """The path as text, undecodable bytes escaped."""
        return os.fsdecode(self.path)


@contextmanager
def transaction(connection: sqlite3.Connection, kind: str) -> Iterator[None]:
    """BEGIN `kind`, then COMMIT, or ROLLBACK on any exception."""
    connection.execute(f"BEGIN {kind}")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


class Ledger:
    """Rows and vectors, changed together inside `transaction`; the connection is used by one thread."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self._more = {"indexed": 0, "skipped": 0}

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All that happens inside is committed together, or not at all."""
        self._more = {"indexed": 0, "skipped": 0}
        with transaction(self.connection, "IMMEDIATE"):
            yield
            for status, more in self._more.items():
                if more:  # deleted rows are counted by a trigger; one for each new row would double the cost
                    self.connection.execute("UPDATE counts SET n = n + ? WHERE status = ?", (more, status))

    def delete(self, row: int | None) -> None:
        """Remove a row and its vector; None: nothing to remove."""
        if row is not None:
            self.connection.execute("DELETE FROM images WHERE id = ?", (row,))

    def put(self, work: Work, picture: Picture, vector: Float32[np.ndarray, " dim"]) -> None:
        """A file with its vector, in place of its old row."""
        self.delete(work.old)
        content = picture.content
        row = (work.path, content.size, content.mtime_ns, content.hash, picture.width, picture.height)
        cursor = self.connection.execute(_INSERT, (*row, picture.format, work.label, "indexed", None))
        self.connection.execute("INSERT INTO vectors VALUES (?, ?)", (cursor.lastrowid, vector.tobytes()))
        self._more["indexed"] += 1

    def skip(self, work: Work, reason: str, content: Content | None) -> None:
        """A file without a vector, with the reason; without content it is tried again at the next update."""
        self.delete(work.old)
        size, mtime_ns, digest = work.size, work.mtime_ns, None
        if content is not None:
            size, mtime_ns, digest = content.size, content.mtime_ns, content.hash
        row = (work.path, size, mtime_ns, digest, None, None, None, work.label, "skipped", reason)
        self.connection.execute(_INSERT, row)
        self._more["skipped"] += 1

    def same(self, work: Work, content: Content) -> bool:
        """Whether the file's own row already holds this content; if so its time is brought up to date."""
        cursor = self.connection.execute(
            "UPDATE images SET size = ?, mtime_ns = ?, label = ? WHERE id = ? AND hash = ?",
            (content.size, content.mtime_ns, work.label, work.old, content.hash),
        )
        return cursor.rowcount > 0

    def move(self, row: int, work: Work, content: Content) -> None:
        """Give an existing row the path of `work`: the file was renamed."""
        self.delete(work.old)
        self.connection.execute(
            "UPDATE images SET path = ?, size = ?, mtime_ns = ?, label = ? WHERE id = ?",
            (work.path, content.size, content.mtime_ns, work.label, row),
        )

    def twin(self, digest: bytes) -> int | None:
        """A row with this content, or None."""
        found = self.connection.execute(
            "SELECT id FROM images WHERE hash = ? ORDER BY status LIMIT 1", (digest,)
        ).fetchone()
        return found[0] if found else None

    def is_indexed(self, row: int) -> bool:
        """Whether this row has a vector."""
        found = self.connection.execute(
            "SELECT status = 'indexed' FROM images WHERE id = ?", (row,)
        ).fetchone()
        return bool(found and found[0])

    def copy(self, row: int, work: Work, content: Content) -> int:
        """A file with the same content as an existing row: the same vector or reason; returns the new id."""
        cursor = self.connection.execute(
            f"INSERT INTO images ({_COLUMNS}) "
            "SELECT ?, ?, ?, hash, width, height, format, ?, status, reason FROM images WHERE id = ?",
            (b"\0" + work.path, content.size, content.mtime_ns, work.label, row),
        )
        new = cursor.lastrowid
        assert new is not None
        self._more["indexed" if self.is_indexed(new) else "skipped"] += 1
        self.connection.execute(
            "INSERT INTO vectors SELECT ?, vector FROM vectors WHERE image = ?", (new, row)
        )
        self.delete(work.old)  # after the copy: the old row may be the one that was copied
        self.connection.execute("UPDATE images SET path = ? WHERE id = ?", (work.path, new))
        return new

    def give(
        self,
        names: Sequence[str],
        vectors: Float32[np.ndarray, "row dim"],
        labels: Sequence[str | None],
    ) -> None:
        """Vectors made elsewhere, in place of any rows of these names."""
        paths, plain = [os.fsencode(name) for name in names], np.ascontiguousarray(vectors)
        top = self.connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'images'").fetchone()
        first = 1 + (top[0] if top else 0)
        # many rows in a statement take half the time of one each
        for start in range(0, len(paths), _AT_ONCE):
            some = paths[start : start + _AT_ONCE]
            ids = range(first + start, first + start + len(some))
            if self._insert(ids, some, labels[start : start + _AT_ONCE]) < len(some):
                query = f"SELECT id FROM images WHERE id < ? AND path IN ({_marks('?', some)})"
                for (old,) in self.connection.execute(query, (ids[0], *some)).fetchall():
                    self.delete(old)
                self._insert(ids, some, labels[start : start + _AT_ONCE])
            blobs = chain.from_iterable(
                zip(ids, map(memoryview, plain[start : start + _AT_ONCE]), strict=True)
            )
            self.connection.execute(f"INSERT INTO vectors VALUES {_marks('(?, ?)', some)}", tuple(blobs))
        self._more["indexed"] += len(paths)

    def _insert(self, ids: range, paths: Sequence[bytes], labels: Sequence[str | None]) -> int:
        """Rows of images without a file, left out where there is one of the path; returns how many came in."""
        rows = _marks("(?, ?, -1, 0, ?, 'indexed')", paths)
        columns = "(id, path, size, mtime_ns, label, status)"
        statement = f"INSERT INTO images {columns} VALUES {rows} ON CONFLICT (path) DO NOTHING"
        values = chain.from_iterable(zip(ids, paths, labels, strict=True))
        return self.connection.execute(statement, tuple(values)).rowcount


def _marks(one: str, rows: Sequence[object]) -> str:
    return ", ".join([one] * len(rows))
