"""Leafing through a gallery by name, also one of 100,000 images, also while it is being indexed."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock

import numpy as np

from featurelens.search import rows
from featurelens.search.gallery import Gallery
from featurelens.search.hit import Hit
from featurelens.shapes import Int

_SMALL = 5_000  # images; up to here all names are read again whenever something has changed
_PATIENCE = 20  # above, reading them takes at most a twentieth of the time


@dataclass(frozen=True)
class Contents:
    """The images by name, and what they are filed under; `skipped` counts files without a vector."""

    ids: Int[np.ndarray, " image"]
    labels: tuple[str, ...]
    folders: tuple[str, ...]
    skipped: int


class Listing:
    """Keeps the order of a gallery's names; safe to use from several threads.

    A small gallery is always shown as it is now; of a large one that changes all the time, as it was a moment ago.
    """

    def __init__(self, gallery: Gallery) -> None:
        self._gallery = gallery
        self._lock = Lock()
        self._contents: Contents | None = None
        self._version: tuple[sqlite3.Connection, int] | None = None  # held, or a new one could have its id
        self._not_before = 0.0

    @property
    def contents(self) -> Contents:
        """What the gallery holds."""
        with self._lock, self._gallery.finder.reading() as connection:
            (counter,) = connection.execute("PRAGMA data_version").fetchone()
            version, now = (connection, counter), time.monotonic()
            if self._contents is None or (version != self._version and now >= self._not_before):
                self._contents, self._version = _read(connection), version
                cost = time.monotonic() - now
                self._not_before = now + _PATIENCE * cost if len(self._contents.ids) > _SMALL else now
            return self._contents

    def page(
        self, offset: int = 0, limit: int = 200, *, path: str | None = None, label: str | None = None
    ) -> tuple[int, list[Hit]]:
        """How many images pass the filters, and `limit` of them by name from number `offset` on."""
        ids = self.contents.ids
        if path is not None or label is not None:
            with self._gallery.finder.reading() as connection:
                ids = ids[np.isin(ids, rows.ids_where(connection, path, label))]
        return len(ids), self.hits(ids[offset : offset + limit].tolist())

    def hits(self, ids: Sequence[int]) -> list[Hit]:
        """Images in the order of these ids; those that are not in the gallery are left out."""
        with self._gallery.finder.reading() as connection:
            return rows.hits_of(connection, self._gallery.images_folder, ids, [1.0] * len(ids))

    def labels(self) -> dict[int, str]:
        """The label of every image that has one, by id."""
        query = "SELECT id, label FROM images WHERE label IS NOT NULL AND status = 'indexed'"
        with self._gallery.finder.reading() as connection:
            return dict(connection.execute(query))

    def named(self, names: Sequence[str]) -> dict[str, Hit]:
        """The images of these names, as far as they are in the gallery."""
        with self._gallery.finder.reading() as connection:
            ids = [one for name in names if (one := rows.id_of_name(connection, name)) is not None]
        return {hit.name: hit for hit in self.hits(ids)}


def _read(connection: sqlite3.Connection) -> Contents:
    ids, folders = [], set()
    query = "SELECT id, path FROM images WHERE status = 'indexed' ORDER BY path"
    for one, path in connection.execute(query):
        ids.append(one)
        folders.add(path.rpartition(b"/")[0])
    labels = connection.execute(
        "SELECT DISTINCT label FROM images WHERE label IS NOT NULL AND status = 'indexed' ORDER BY label"
    )
    return Contents(
        np.array(ids, np.int64),
        tuple(row[0] for row in labels),
        tuple(os.fsdecode(folder) for folder in sorted(folders - {b""})),
        rows.count(connection, "skipped"),
    )
