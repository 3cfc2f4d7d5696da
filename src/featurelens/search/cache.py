"""Cache files that are either whole and up to date, or not used."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from featurelens.durable import sync_folder, write_file

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
    """A cache file, as its description says: file name, length, checksum, rows, dimensions, state."""

    file: str
    size: int
    checksum: int
    rows: int
    dim: int
    kind: str
    state: State


def publish(
    folder: Path, name: str, write: Callable[[Path], int], *, dim: int, kind: str, state: State
) -> None:
    """Let `write` make a file (it returns the rows), fsync it, then make it the cache `name`.

    The description is renamed into place last: until then the old cache counts, after it the new one.
    """
    data = folder / f"{name}-{uuid.uuid4().hex[:12]}.bin"
    part = data.with_suffix(".tmp")
    try:
        rows = write(part)
        with open(part, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(part, data)
        sync_folder(folder)
        entry = Entry(data.name, data.stat().st_size, checksum(data), rows, dim, kind, state)
        text = json.dumps(asdict(entry)).encode()
        write_file(folder / f"{name}.json", lambda file: file.write(text))
    except BaseException:
        part.unlink(missing_ok=True)
        data.unlink(missing_ok=True)
        raise
    sweep(folder, name, keep=data.name)


def sweep(folder: Path, name: str, *, keep: str) -> None:
    """Delete older files of a cache; one that a reader still holds open on Windows goes next time."""
    for old in [*folder.glob(f"{name}-*.bin"), *folder.glob(f"{name}-*.tmp")]:
        if old.name != keep:
            try:
                old.unlink()
            except OSError:
                continue


def entry_of(folder: Path, name: str, *, dim: int, kind: str, epoch: str) -> Entry | None:
    """The description of a cache that fits this gallery and whose file has the right length; else None."""
    try:
        values = json.loads((folder / f"{name}.json").read_bytes())
        entry = Entry(**{**values, "state": State(**values["state"])})
        fits = (entry.dim, entry.kind, entry.state.epoch) == (dim, kind, epoch)
        return entry if fits and (folder / entry.file).stat().st_size == entry.size else None
    except (OSError, ValueError, TypeError, KeyError):
        return None


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
