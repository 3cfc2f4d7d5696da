"""The gallery's database: SQLite, one file that is the truth; all else in the folder is a cache of it."""

from __future__ import annotations

import os
import sqlite3
import uuid
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

from featurelens.durable import sync_folder
from featurelens.errors import GalleryError
from featurelens.search.failures import damaged

DATABASE = "gallery.db"
VERSION = 1

# An id is never used twice and its vector never changes: a changed file gets a new row. So a cache is
# up to date when it knows all ids up to the highest one, and all that are gone since.
_TABLES = """
CREATE TABLE settings (key TEXT PRIMARY KEY, value BLOB) WITHOUT ROWID;
CREATE TABLE images (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  path BLOB NOT NULL UNIQUE,          -- relative to the images folder, '/' between folders, as the disk has it
  size INTEGER NOT NULL,              -- -1: the vector was given, there is no file
  mtime_ns INTEGER NOT NULL,
  hash BLOB,                          -- of the content; NULL: never read, try again; empty: not hashed
  width INTEGER, height INTEGER, format TEXT, label TEXT,
  status TEXT NOT NULL CHECK (status IN ('indexed', 'skipped')),
  reason TEXT,
  CHECK ((status = 'skipped') = (reason IS NOT NULL))
);
CREATE INDEX images_hash ON images (hash) WHERE hash IS NOT NULL;
CREATE INDEX images_label ON images (label) WHERE label IS NOT NULL;
CREATE INDEX images_skipped ON images (path) WHERE status = 'skipped';
CREATE TABLE counts (status TEXT PRIMARY KEY, n INTEGER NOT NULL) WITHOUT ROWID;  -- counting takes a scan
INSERT INTO counts VALUES ('indexed', 0), ('skipped', 0);
CREATE TABLE vectors (image INTEGER PRIMARY KEY, vector BLOB NOT NULL);  -- float32, L2-normalised
CREATE TABLE gone (n INTEGER PRIMARY KEY AUTOINCREMENT, id INTEGER NOT NULL);
CREATE TRIGGER images_less AFTER DELETE ON images BEGIN
  UPDATE counts SET n = n - 1 WHERE status = OLD.status;
END;
CREATE TRIGGER images_gone AFTER DELETE ON images WHEN OLD.status = 'indexed' BEGIN
  DELETE FROM vectors WHERE image = OLD.id;
  INSERT INTO gone (id) VALUES (OLD.id);
END;
"""


def create_database(folder: Path, fill: Callable[[sqlite3.Connection], object]) -> None:
    """Make the database with what `fill` writes into it; it appears whole, or not at all."""
    part = folder / f".{DATABASE}.{uuid.uuid4().hex[:8]}.tmp"
    try:
        connection = _connect(part, "rwc")
        try:
            connection.execute("PRAGMA page_size = 16384")
            _prepare_writer(connection)
            connection.execute("BEGIN IMMEDIATE")
            for statement in _statements(_TABLES):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {VERSION}")
            fill(connection)
            connection.execute("COMMIT")
        finally:
            connection.close()  # also empties and removes the WAL
        os.rename(part, folder / DATABASE)
    except BaseException:
        for left in (part, *(part.with_name(part.name + end) for end in ("-wal", "-shm"))):
            left.unlink(missing_ok=True)
        raise
    sync_folder(folder)


def memory_database() -> sqlite3.Connection:
    """An empty database of these tables in memory, for what holds its rows elsewhere."""
    connection = sqlite3.connect(":memory:", check_same_thread=False)
    connection.executescript(_TABLES)
    return connection


def connect_writer(folder: Path) -> sqlite3.Connection:
    """A connection whose commits are durable: once one returns, not even a power cut undoes it."""
    connection = _connect(folder / DATABASE, "rw")
    try:
        _prepare_writer(connection)
        check_version(connection, folder)
    except BaseException:
        connection.close()
        raise
    return connection


def connect_reader(folder: Path) -> tuple[sqlite3.Connection, bool]:
    """A connection for reading, and whether it is blind to changes (a folder that cannot be written).

    SQLite's WAL needs a little file beside the database even to read; where that cannot be made, the
    database is read as an unchanging file, which is right as long as no commits wait in the WAL.
    """
    path = folder / DATABASE
    if not path.is_file():
        raise GalleryError(f"There is no gallery in {folder} ({DATABASE} is not there). Create it first.")
    try:
        return _open_reader(path, "mode=rw"), False
    except sqlite3.OperationalError as error:
        first = error
    waiting = path.with_name(DATABASE + "-wal")
    if not waiting.exists() or waiting.stat().st_size == 0:
        return _open_reader(path, "mode=ro&immutable=1"), True
    for how, exclusive in (("mode=ro", False), ("mode=rw", True)):
        try:
            return _open_reader(path, how, exclusive=exclusive), False
        except sqlite3.OperationalError:
            continue
    raise GalleryError(
        f"The gallery in {folder} was being written when its writer was stopped, and the folder cannot be "
        "written now, so its last steps cannot be read. Make it writable (or copy it to where it is) "
        "and open it once."
    ) from first


def _open_reader(path: Path, how: str, *, exclusive: bool = False) -> sqlite3.Connection:
    connection = sqlite3.connect(
        _uri(path, how), uri=True, timeout=10, isolation_level=None, check_same_thread=False
    )
    try:
        if exclusive:  # keeps the index of the WAL in memory: needs no room on a full disk
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("PRAGMA query_only = ON")
        check_version(connection, path.parent)
    except BaseException:
        connection.close()
        raise
    return connection


def check_version(connection: sqlite3.Connection, folder: Path) -> None:
    """GalleryError for a database of another version, or of another program."""
    (found,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'images'").fetchone()
    if found > VERSION:
        raise GalleryError(
            f"The gallery in {folder} was made by a newer featurelens (format {found}; this one reads "
            f"{VERSION}). Update featurelens, or index into another folder with at=DIR."
        )
    if found < 1 or not tables:
        raise damaged(folder, f"{DATABASE} holds no gallery")


def _connect(file: Path, mode: str) -> sqlite3.Connection:
    return sqlite3.connect(
        _uri(file, f"mode={mode}"), uri=True, timeout=10, isolation_level=None, check_same_thread=False
    )


def _prepare_writer(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA fullfsync = ON")  # macOS: to the platter, not only to the drive
    connection.execute("PRAGMA temp_store = FILE")
    connection.execute("PRAGMA cache_size = -16384")


def _uri(file: Path, how: str) -> str:
    return f"file:{quote(os.fsencode(file.absolute()))}?{how}"


def _statements(script: str) -> list[str]:
    statements, waiting = [], ""
    for line in script.splitlines(keepends=True):
        waiting += line
        if sqlite3.complete_statement(waiting):
            statements.append(waiting)
            waiting = ""
    return statements
