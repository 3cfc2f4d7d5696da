"""What an update has to do: the tree on disk against the rows in the database; nothing is opened."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

from featurelens.errors import GalleryError
from featurelens.features.labels import Labels
from featurelens.images.find import find_files, is_below
from featurelens.search.ledger import Work, transaction
from featurelens.search.rows import storable

# The tree lies in temporary tables (on disk, if they get large), so that memory does not grow with it.
_TABLES = """
DROP TABLE IF EXISTS temp.tree; DROP TABLE IF EXISTS temp.todo; DROP TABLE IF EXISTS temp.missing;
CREATE TEMP TABLE tree (path BLOB PRIMARY KEY, size INTEGER, mtime_ns INTEGER, label TEXT) WITHOUT ROWID;
CREATE TEMP TABLE todo (
  n INTEGER PRIMARY KEY, path BLOB, size INTEGER, mtime_ns INTEGER, label TEXT, old INTEGER);
CREATE TEMP TABLE missing (id INTEGER PRIMARY KEY, hash BLOB);
CREATE INDEX temp.missing_hash ON missing (hash);
"""
_TODO = """
INSERT INTO todo (path, size, mtime_ns, label, old)
SELECT t.path, t.size, t.mtime_ns, t.label, i.id FROM tree t LEFT JOIN images i USING (path)
WHERE i.id IS NULL OR i.size != t.size OR i.mtime_ns != t.mtime_ns
  OR (i.status = 'skipped' AND (i.hash IS NULL OR :again))
ORDER BY t.path
"""
_MISSING = """
INSERT INTO missing SELECT i.id, i.hash FROM images i LEFT JOIN tree t USING (path)
WHERE t.path IS NULL AND i.size >= 0 AND NOT out_of_sight(i.path)
"""
_RELABEL = """
UPDATE images SET label = t.label FROM tree t
WHERE images.path = t.path AND images.label IS NOT t.label AND images.size >= 0
"""
_PAGE = 256


class Plan:
    """The difference between the tree and the ledger, held in temporary tables of the connection.

    `todo` is how many files are new or changed; `notes` tells of folders that could not be read,
    whose images are left as they are.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.notes: list[str] = []
        self.todo = 0

    def make(self, root: Path, *, own: Path, label_of: Labels | None, again: bool) -> None:
        """Walk the tree once. GalleryError if the root is away, unreadable or suddenly empty."""
        if not root.is_dir():
            raise GalleryError(
                f"The images folder {root} is not there. If it lies on a disk or a server, connect it; if it was "
                "moved, open the gallery with images=NEW_FOLDER. Nothing was changed."
            )
        for statement in _TABLES.split(";"):
            self._connection.execute(statement)
        unread: set[str] = set()

        def on_error(name: str, reason: str) -> None:
            unread.add(name)
            if len(self.notes) < 100:
                self.notes.append(f"{name}: {reason}; images known from there are kept")

        rows = (
            (os.fsencode(f.name), f.size, f.mtime_ns, _label(label_of, f.name))
            for f in find_files(root, on_error=on_error, skip=[own])
        )
        with transaction(self._connection, "DEFERRED"):
            self._connection.executemany("INSERT OR REPLACE INTO tree VALUES (?, ?, ?, ?)", rows)
        self._refuse_an_empty_tree(root, unread)
        self._connection.create_function("out_of_sight", 1, lambda path: is_below(os.fsdecode(path), unread))
        self._connection.execute(_TODO, {"again": again})
        self._connection.execute(_MISSING)
        self.todo = self._connection.execute("SELECT count(*) FROM todo").fetchone()[0]

    def _refuse_an_empty_tree(self, root: Path, unread: set[str]) -> None:
        if "." in unread:
            raise GalleryError(f"The images folder {root} cannot be read. Nothing was changed.")
        (empty,) = self._connection.execute("SELECT NOT EXISTS (SELECT 1 FROM tree)").fetchone()
        (known,) = self._connection.execute("SELECT count(*) FROM images WHERE size >= 0").fetchone()
        if empty and known:
            raise GalleryError(
                f"The images folder {root} is empty, but the gallery knows {known:,} files from there. If it lies on "
                "a disk or a server, connect it. Nothing was changed. If you deleted all of them, delete the "
                "gallery folder too."
            )

    def relabel(self) -> None:
        """Bring the labels of known files up to date (the metadata may have changed, the images not)."""
        self._connection.execute(_RELABEL)

    def work(self) -> Iterator[Work]:
        """The new and changed files, by path, read a page at a time."""
        last = 0
        while True:
            page = self._connection.execute(
                "SELECT n, path, size, mtime_ns, label, old FROM todo WHERE n > ? ORDER BY n LIMIT ?",
                (last, _PAGE),
            ).fetchall()
            if not page:
                return
            for row in page:
                yield Work(*row)
            last = page[-1][0]

    def missing_twin(self, digest: bytes) -> int | None:
        """A row whose file is gone and had this content: the file was renamed. Each is given once."""
        query = "SELECT id FROM missing WHERE hash = ? ORDER BY id LIMIT 1"
        found = self._connection.execute(query, (digest,)).fetchone()
        return found[0] if found else None

    def found(self, row: int) -> None:
        """The file of a missing row was found under another name."""
        self._connection.execute("DELETE FROM missing WHERE id = ?", (row,))

    def take_missing(self) -> Sequence[int]:
        """The next ids whose files are really gone, at most a page of them; empty at the end."""
        ids = [row[0] for row in self._connection.execute("SELECT id FROM missing LIMIT ?", (_PAGE,))]
        self._connection.executemany("DELETE FROM missing WHERE id = ?", [(one,) for one in ids])
        return ids


def _label(label_of: Labels | None, name: str) -> str | None:
    label = label_of(name) if label_of is not None else None
    return None if label is None else storable(label)
