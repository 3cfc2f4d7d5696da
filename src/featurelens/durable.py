"""Files that are whole or absent: written under a temporary name, fsynced, renamed."""

from __future__ import annotations

import hashlib
import os
import shutil
import uuid
from collections.abc import Callable
from contextlib import suppress
from glob import escape
from pathlib import Path
from typing import BinaryIO


def write_file(path: Path, write: Callable[[BinaryIO], object], *, durable: bool = True) -> None:
    """Call `write` on a temporary file beside `path` and rename it; on any error nothing is left behind.

    `durable=False` leaves out the fsync: enough for a cache that is checked when it is read.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name[:60]}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        with open(part, "xb") as file:
            write(file)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    if durable:
        sync_folder(path.parent)


def write_folder(
    path: Path, fill: Callable[[Path], object], *, stays: Callable[[Path], bool] = lambda _: False
) -> None:
    """Let `fill` write into a temporary folder beside `path`, then put it in the place of `path`.

    What stood at `path` before is moved aside first and removed last, so that it can never be half new; the next
    write puts it back if a kill comes in between. Where `stays` says yes to what is there by then, that is left.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _put_back(path)
    part, old = (_beside(path, f"{uuid.uuid4().hex[:8]}.{end}") for end in ("tmp", "old"))
    try:
        part.mkdir()
        fill(part)
        for one in (*part.rglob("*"), part):
            sync_folder(one)
        _swap(part, path, old, stays)
    finally:
        shutil.rmtree(part, ignore_errors=True)
        if old.exists() and not path.exists():
            os.rename(old, path)
    sync_folder(path.parent)
    shutil.rmtree(old, ignore_errors=True)


def _swap(part: Path, path: Path, old: Path, stays: Callable[[Path], bool]) -> None:
    for left in (2, 1, 0):
        try:
            if path.exists():
                if stays(path):
                    return
                shutil.rmtree(old, ignore_errors=True)
                os.rename(path, old)
            os.rename(part, path)
            return
        except OSError:  # another process may have put its own there between the two: once more
            if not left:
                raise


def _put_back(path: Path) -> None:
    """What a killed write moved aside goes to its place again, or away where the new one is there."""
    for old in sorted(path.parent.glob(f"{escape(_beside(path, '').name)}{'[0-9a-f]' * 8}.old")):
        if path.exists():
            shutil.rmtree(old, ignore_errors=True)
        else:
            with suppress(OSError):  # another process did it
                os.rename(old, path)


def _beside(path: Path, end: str) -> Path:
    """A hidden name for this path alone, also where a name is too long to be lengthened."""
    name = path.name
    if len(name) > 60:
        name = f"{name[:50]}-{hashlib.sha256(os.fsencode(name)).hexdigest()[:9]}"
    return path.with_name(f".{name}.{end}")


def sync_folder(folder: Path) -> None:
    """Make renames inside a folder, or what is in a file, durable (a no-op where they cannot be opened so, as on Windows)."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    except OSError:
        return
    finally:
        os.close(handle)
