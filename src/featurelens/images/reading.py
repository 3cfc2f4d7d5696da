"""Regular files, opened without ever waiting, files of other stores, members of shards; errors in plain words."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedIOBase
from pathlib import Path
from typing import Any

from featurelens.errors import ImageError
from featurelens.images.address import Remote


@contextmanager
def opened(path: str | os.PathLike[str]) -> Iterator[tuple[BufferedIOBase, int]]:
    """The file at `path`, open for reading, and its size; every system error inside becomes an ImageError.

    Pipes, sockets and devices are refused unopened: reading them could wait for ever. A `Remote` is read from its
    store, a path below a tar shard or a Parquet file from inside of it.
    """
    if (elsewhere := read_elsewhere(path)) is not None:
        yield io.BytesIO(elsewhere), len(elsewhere)
        return
    try:
        with _open(path) as file:
            yield file, os.fstat(file.fileno()).st_size
    except FileNotFoundError:
        raise ImageError("there is no such file") from None
    except PermissionError:
        raise ImageError("permission denied: the file cannot be read") from None
    except OSError as error:
        raise ImageError(f"the file cannot be read: {(error.strerror or 'unknown reason').lower()}") from None


def read_elsewhere(path: str | os.PathLike[str]) -> bytes | None:
    """The bytes of an image of another store or inside of a shard; None for a file of this machine, or nothing.

    Raises ImageError where it cannot be read.
    """
    remote = isinstance(path, Remote)
    inside: Any = None
    if remote or not os.path.exists(path):
        from featurelens.images.members import read_member, split_member

        inside = split_member(Path(path) if not isinstance(path, Path) else path)
        if inside is not None and (remote or inside[0].is_file()):
            return read_member(*inside)
    if remote:
        from featurelens.images.remote import open_remote

        with open_remote(str(path)) as (file, _):
            return file.read()
    return None


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
