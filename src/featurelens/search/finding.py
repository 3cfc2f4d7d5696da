"""From query vectors to hits: the newest snapshot, the filters, the nearest rows, their names."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from featurelens.errors import InvalidInput
from featurelens.search import rows
from featurelens.search.failures import explained
from featurelens.search.hit import Hit
from featurelens.search.nearest import Nearest
from featurelens.search.reader import Reader
from featurelens.search.vectors import Snapshot
from featurelens.shapes import Float32


@dataclass(frozen=True)
class Limits:
    """What a search may find: how many, how similar, under which names and label, and how to look."""

    k: int
    min_similarity: float | None
    path: str | None
    label: str | None
    exact: bool | None

    def __post_init__(self) -> None:
        if self.k < 1:
            raise InvalidInput(f"k is {self.k}; give how many images to find, at least 1.")


class Finder:
    """Searches one gallery; the lock guards its reading connection, the search itself runs outside of it."""

    def __init__(
        self, folder: Path, reader: Reader, lock: AbstractContextManager[Any], dim: int, epoch: str
    ) -> None:
        self._folder, self._reader, self._lock = folder, reader, lock
        self.nearest = Nearest(folder, dim, epoch)

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """The reading connection for as long as the `with` runs; errors of the database come as GalleryError."""
        with self._lock, explained(self._folder):
            yield self._reader.connection

    @property
    def writable(self) -> bool:
        """Whether cache files may be kept in the gallery folder."""
        return self._reader.writable

    def snapshot(self) -> Snapshot:
        """All vectors as of now."""
        with self.reading() as connection:
            return self.nearest.snapshot(connection)

    def hits(self, root: Path, units: Float32[np.ndarray, "query dim"], limits: Limits) -> list[list[Hit]]:
        """The hits of each query, best first."""
        filtered = limits.path is not None or limits.label is not None
        with self.reading() as connection:
            snapshot = self.nearest.snapshot(connection)
            allowed = rows.ids_where(connection, limits.path, limits.label) if filtered else None
        ids, cosines = self.nearest.search(snapshot, units, limits.k, allowed=allowed, exact=limits.exact)
        with self.reading() as connection:
            found = [
                rows.hits_of(connection, root, some.tolist(), values.tolist())
                for some, values in zip(ids, cosines, strict=True)
            ]
        least = limits.min_similarity
        return found if least is None else [[h for h in hits if h.similarity >= least] for hits in found]
