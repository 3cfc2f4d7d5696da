"""A reading connection that always shows the newest state, also where it must read an unchanging file."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from featurelens.errors import GalleryError
from featurelens.search.failures import made_anew
from featurelens.search.schema import DATABASE, connect_reader
from featurelens.search.settings import read_settings


class Reader:
    """Opens the database for reading; not for two threads at once. `settings` are those at opening."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._connection: sqlite3.Connection | None
        self._stamp = self._look()
        self._connection, self._blind = connect_reader(folder)
        try:
            self.settings = read_settings(self._connection, folder)
        except BaseException:
            self.close()
            raise

    @property
    def connection(self) -> sqlite3.Connection:
        """The connection; opened anew if the file has changed under one that cannot see it."""
        if self._connection is None:
            raise GalleryError(f"The gallery in {self._folder} was closed; open it again.")
        if self._blind and (now := self._look()) != self._stamp:
            self._connection = self._followed(self._connection, now)
        return self._connection

    def _followed(self, before: sqlite3.Connection, now: tuple[int, ...]) -> sqlite3.Connection:
        """A connection to the file as it is now; where another gallery has replaced it, still the one to what was opened."""
        connection, blind = connect_reader(self._folder)
        try:
            same = read_settings(connection, self._folder).epoch == self.settings.epoch
        except BaseException:
            connection.close()
            raise
        unused = before if same else connection
        unused.close()
        if not same and now[0] == self._stamp[0]:  # written over: what was opened is nowhere any more
            raise made_anew(self._folder)
        self._stamp, self._blind = now, blind if same else True
        return connection if same else before

    @property
    def writable(self) -> bool:
        """Whether files may be made in the gallery folder."""
        return not self._blind and os.access(self._folder, os.W_OK)

    def close(self) -> None:
        """Close the connection; to close twice is no error."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _look(self) -> tuple[int, ...]:
        stamp: list[int] = []
        for name in (DATABASE, DATABASE + "-wal"):
            try:
                status = (self._folder / name).stat()
            except OSError:
                continue
            stamp += [status.st_ino, status.st_size, status.st_mtime_ns]
        return tuple(stamp)
