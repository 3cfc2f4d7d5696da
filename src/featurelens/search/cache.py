"""Cache files that are either whole and up to date, or not used."""

from __future__ import annotations

import json
import os
import sqlite3
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from featurelens.durable import sync_folder

_BLOCK = 8 << 20
_PAGE = 4096


@dataclass(frozen=True)
class State:
    """Which state of the database a cache shows: its epoch, the highest id seen, how many rows had gone."""

    epoch: str
    top: int
    gone: int


@dataclass(frozen=True)
class Entry:
    """A cache file, as the database describes it: file name, length, checksum, rows, dimensions, state."""

    file: str
    size: int
    checksum: int
    rows: int
    dim: int
    kind: str
    state: State


def made(
    folder: Path, name: str, write: Callable[[Path], tuple[int, State]], *, dim: int, kind: str
) -> Entry:
    """Let `write` make a file (it returns the rows and the state that it shows), durably; nobody uses it yet."""
    data = folder / f"{name}-{uuid.uuid4().hex[:12]}.bin"
    part = data.with_suffix(".tmp")
    try:
        rows, state = write(part)
        with open(part, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(part, data)
        sync_folder(folder)
        return Entry(data.name, data.stat().st_size, checksum(data), rows, dim, kind, state)
    except BaseException:
        part.unlink(missing_ok=True)
        data.unlink(missing_ok=True)
        raise


def publish(connection: sqlite3.Connection, folder: Path, name: str, entry: Entry) -> None:
    """Make a file the cache `name`: the database says which one counts, so a copy of it put back has its own."""
    try:
        about = json.dumps(asdict(entry)).encode()
        connection.execute("INSERT OR REPLACE INTO settings VALUES (?, ?)", (_key(name), about))
    except BaseException:
        (folder / entry.file).unlink(missing_ok=True)
        raise
    sweep(folder, name, keep=entry.file)


def sweep(folder: Path, name: str, *, keep: str) -> None:
    """Delete older files of a cache; one that a reader still holds open on Windows goes next time."""
    for old in [*folder.glob(f"{name}-*.bin"), *folder.glob(f"{name}-*.tmp")]:
        if old.name != keep:
            try:
                old.unlink()
            except OSError:
                continue


def entry_of(connection: sqlite3.Connection, folder: Path, name: str, *, dim: int, kind: str) -> Entry | None:
    """The cache that the database names, if it is of this kind and its file has the right length; else None."""
    found = connection.execute("SELECT value FROM settings WHERE key = ?", (_key(name),)).fetchone()
    try:
        values = json.loads(found[0]) if found else {}
        entry = Entry(**{**values, "state": State(**values["state"])})
        fits = (entry.dim, entry.kind) == (dim, kind)
        return entry if fits and (folder / entry.file).stat().st_size == entry.size else None
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _key(name: str) -> str:
    return f"cache:{name}"


def checksum(path: Path) -> int:
    """The sums of a file's pages of 4 KiB, each weighted by its place: fast, and sees torn or swapped pages."""
    total = 0
    weights = 2 * np.arange(_BLOCK // _PAGE, dtype=np.uint64) + np.uint64(1)
    with open(path, "rb") as file:
        while block := file.read(_BLOCK):
            words = np.frombuffer(block + b"\0" * (-len(block) % _PAGE), np.uint64)
            pages = words.reshape(-1, _PAGE // 8).sum(1, dtype=np.uint64)
            total = (total * 1_000_003 + int((pages * weights[: len(pages)]).sum(dtype=np.uint64))) % 2**64
    return total


def intact(folder: Path, entry: Entry) -> bool:
    """Whether the file is still what was written."""
    try:
        return checksum(folder / entry.file) == entry.checksum
    except OSError:
        return False
