"""A gallery in a folder: SQLite is the truth, everything else beside it a cache."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import RLock
from typing import Any

import numpy as np

from featurelens.backbone.protocol import Backbone, Spec
from featurelens.backbone.request import free_cores
from featurelens.features.table import Features
from featurelens.search import rows
from featurelens.search.failures import explained
from featurelens.search.finding import Finder
from featurelens.search.hit import Hit
from featurelens.search.place import folder_of, make_folder
from featurelens.search.query import Query, stored_vector
from featurelens.search.reader import Reader
from featurelens.search.schema import DATABASE
from featurelens.search.settings import Settings, new_epoch
from featurelens.search.store import Images, one_folder
from featurelens.search.thumbnails import Original, original_of
from featurelens.search.update import UpdateReport
from featurelens.search.upkeep import write_caches
from featurelens.search.writing import add_vectors, update_gallery, writing
from featurelens.shapes import Float32

Say = Callable[[str], None]


class FolderStore:
    """One process writes at a time (a second gets GalleryBusy), any number read."""

    def __init__(self, folder: Path, say: Say | None = None) -> None:
        self.address, self._lock, self._say = str(folder), RLock(), say
        self.folder = folder = folder.resolve()  # a link that leads elsewhere later on changes nothing here
        with explained(folder):
            self._file = _file_at(folder)
            self._reader = Reader(folder)
        self.settings: Settings = self._reader.settings
        self._opened = self.settings
        self.finder = Finder(folder, self._reader, self._lock, self.settings.spec.dim, self.settings.epoch)

    @classmethod
    def open(cls, place: str | os.PathLike[str], *, say: Say | None = None) -> FolderStore:
        """The gallery in a folder, or in the `.featurelens` of a folder of images; GalleryError if none."""
        return cls(folder_of(Path(place)), say)

    @classmethod
    def create(
        cls,
        place: str | os.PathLike[str] | None,
        images: Images,
        spec: Spec,
        *,
        exact: bool,
        max_pixels: int,
        say: Say | None = None,
    ) -> FolderStore:
        """An empty one at `place`, or in `.featurelens` inside the images folder."""
        root = one_folder(images)
        settings = Settings(root.absolute(), spec, exact, max_pixels, new_epoch())
        return cls(make_folder(root, Path(place) if place else None, settings), say)

    def replaced(self) -> bool:
        """Whether another database lies at the address now."""
        try:
            return _file_at(Path(self.address)) != self._file
        except OSError:  # away at the moment
            return False

    def move(self, images: Images) -> None:
        """The images lie there now; the next update remembers it."""
        self.settings = self.settings.moved(one_folder(images).absolute())

    def update(self, backbone: Backbone, *, retry_skipped: bool, **options: Any) -> UpdateReport:
        """One update by the one process that may write."""
        options |= {"opened": self._opened, "retry_skipped": retry_skipped}
        return update_gallery(self.folder, self.settings, backbone, **options)

    def add(self, features: Features, *, optimize: bool) -> list[str]:
        """Given vectors, in place of any of the same names."""
        return add_vectors(self.folder, self.settings, features, optimize=optimize)

    def optimize(self) -> list[str]:
        """Write the cache files anew as far as anything has changed, in the database or in them."""
        dim, epoch, note = self.settings.spec.dim, self.settings.epoch, self._say or (lambda _: None)
        with writing(self.folder) as connection:
            return write_caches(
                connection, self.folder, dim, epoch, threads=free_cores(), always=True, note=note
            )

    def stored_vector(self, query: Query) -> Float32[np.ndarray, " dim"] | None:
        """The vector of a query that is one, or an unchanged image of the gallery."""
        with self.finder.reading() as connection:
            return stored_vector(query, connection, self.settings)

    def hits(self, ids: Sequence[int]) -> list[Hit]:
        """The images of these ids, in this order."""
        with self.finder.reading() as connection:
            return rows.hits_of(connection, self.settings.images, ids, [1.0] * len(ids))

    def all_hits(self) -> list[Hit]:
        """Every indexed image, by name."""
        with self.finder.reading() as connection:
            return rows.all_hits(connection, self.settings.images)

    def features(self) -> Features:
        """All vectors with names and labels, by id."""
        with self.finder.reading() as connection:
            return rows.features_of(connection, self.finder.snapshot(), self.settings.spec)

    def skipped(self) -> list[tuple[str, str]]:
        """(name, reason) of every file without a vector."""
        with self.finder.reading() as connection:
            return rows.skipped(connection)

    def original(self, one: int) -> Original:
        """Where an image's file is."""
        with self.finder.reading() as connection:
            return original_of(connection, one)

    def count(self) -> int:
        """How many images are indexed."""
        with self.finder.reading() as connection:
            return rows.count(connection, "indexed")

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            self._reader.close()


def _file_at(folder: Path) -> tuple[int, int]:
    about = os.stat(folder / DATABASE)
    return about.st_dev, about.st_ino
