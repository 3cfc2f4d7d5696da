"""One writer at a time: a lock that the system itself drops when its process dies, however it dies."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path
from types import TracebackType

from featurelens.errors import GalleryBusy

_WIDTH = 160

if sys.platform == "win32":
    import msvcrt

    _FAR = 1 << 30  # Windows locks bytes; one far behind the text leaves the text readable

    def _try_lock(handle: int) -> None:
        os.lseek(handle, _FAR, os.SEEK_SET)
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _try_lock(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


class WriterLock:
    """Hold `path` for as long as the `with` runs; GalleryBusy, naming the holder, if another has it.

    The file stays behind and means nothing by itself: a kill -9 leaves no stale lock.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._handle: int | None = None

    def __enter__(self) -> WriterLock:
        handle = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            _try_lock(handle)
        except OSError as error:
            holder = _read_holder(handle)
            os.close(handle)
            raise GalleryBusy(
                f"{self._path.parent} is being written by {holder}. Wait for it to end, or stop it "
                "(what it has done so far is kept), then run this again. Searching is possible meanwhile."
            ) from error
        except BaseException:
            os.close(handle)
            raise
        self._handle = handle
        self._sign(f"process {os.getpid()} on {socket.gethostname()}\n".encode())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def _sign(self, text: bytes) -> None:
        assert self._handle is not None
        try:
            os.lseek(self._handle, 0, os.SEEK_SET)
            os.write(self._handle, text.ljust(_WIDTH))  # padded: cutting the file would cost more
        except OSError:
            return  # a full disk: the lock holds without its text


def _read_holder(handle: int) -> str:
    os.lseek(handle, 0, os.SEEK_SET)
    return os.read(handle, _WIDTH).decode("utf-8", "replace").strip() or "another process"
