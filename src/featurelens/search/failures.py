"""What SQLite and the file system say, in words that help."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from featurelens.errors import GalleryBusy, GalleryError

_KEPT = "What was indexed before is kept; "


@contextmanager
def explained(folder: Path) -> Iterator[None]:
    """Inside, errors of SQLite and of the file system about `folder` become GalleryError."""
    try:
        yield
    except sqlite3.Error as error:
        raise _of_sqlite(error, folder) from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise disk_full(folder) from error
        if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
            raise read_only(folder) from error
        raise


def disk_full(folder: Path) -> GalleryError:
    """The error for a full disk."""
    return GalleryError(
        f"The disk that holds {folder} is full. {_KEPT}make room and run the update again: it goes on "
        "where it stopped. A gallery on another disk: at=DIR (command line: --at DIR)."
    )


def read_only(folder: Path) -> GalleryError:
    """The error for a folder that cannot be written."""
    return GalleryError(
        f"{folder} cannot be written (read-only, or not yours). An existing gallery there can still be "
        "searched. To make one for these images elsewhere: at=DIR (command line: --at DIR)."
    )


def damaged(folder: Path, why: object) -> GalleryError:
    """The error for a database that cannot be read as one."""
    return GalleryError(
        f"The gallery in {folder} is damaged ({why}). Your images are not touched by this. Put back a copy "
        "of gallery.db, or delete this folder and index again."
    )


def made_anew(folder: Path) -> GalleryError:
    """The error for another gallery in the place of the one that was opened."""
    return GalleryError(
        f"The gallery in {folder} was made anew since it was opened here; nothing was changed. Open it again."
    )


def _of_sqlite(error: sqlite3.Error, folder: Path) -> GalleryError:
    code = (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF
    if code == sqlite3.SQLITE_FULL:
        return disk_full(folder)
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM):
        return read_only(folder)
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return GalleryBusy(f"The gallery in {folder} is locked by another program. Try again in a moment.")
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return damaged(folder, error)
    if code == sqlite3.SQLITE_IOERR:
        return GalleryError(
            f"Reading or writing the gallery in {folder} failed ({error}): the disk may be full, away or "
            f"broken. {_KEPT}see to the disk, then run this again."
        )
    if code == sqlite3.SQLITE_CANTOPEN:
        return GalleryError(f"The gallery in {folder} cannot be opened ({error}); check that it may be read.")
    return damaged(folder, error)
