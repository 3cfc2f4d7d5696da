"""Regular files only, opened without ever waiting; what the system says against it in plain words."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedIOBase

from featurelens.errors import ImageError


@contextmanager
def opened(path: str | os.PathLike[str]) -> Iterator[tuple[BufferedIOBase, int]]:
    """The file at `path`, open for reading, and its size; every system error inside becomes an ImageError.

    Pipes, sockets and devices are refused unopened: reading them could wait for ever.
    """
    try:
        with _open(path) as file:
            yield file, os.fstat(file.fileno()).st_size
    except FileNotFoundError:
        raise ImageError("there is no such file") from None
    except PermissionError:
        raise ImageError("permission denied: the file cannot be read") from None
    except OSError as error:
        raise ImageError(f"the file cannot be read: {(error.strerror or 'unknown reason').lower()}") from None


def _open(path: str | os.PathLike[str]) -> BufferedIOBase:
    try:
        mode = os.stat(path).st_mode
    except ValueError:
        raise ImageError("not a possible file name") from None
    if stat.S_ISDIR(mode):
        raise ImageError("a folder, not a file")
    if not stat.S_ISREG(mode):
        raise ImageError("not a regular file but a pipe, socket or device")
    return open(path, "rb", opener=_open_without_waiting)


def _open_without_waiting(path: str, flags: int) -> int:
    """A pipe that took the file's place since `stat` must not block the run."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
