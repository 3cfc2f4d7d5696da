"""What a gallery rests on: SQLite in a folder, or another store that its address names."""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from featurelens.backbone.protocol import Backbone
from featurelens.catalog import Catalog
from featurelens.errors import InvalidInput
from featurelens.features.table import Features
from featurelens.images.address import address_of
from featurelens.search.finding import Limits
from featurelens.search.hit import Hit
from featurelens.search.nearest import Searcher
from featurelens.search.query import Query
from featurelens.search.settings import Settings
from featurelens.search.thumbnails import Original
from featurelens.search.update import UpdateReport
from featurelens.search.vectors import Snapshot
from featurelens.shapes import Float32

Images = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]
"""A folder; for a table also an address, or one or more tar shards and Parquet files."""

# Lazy, so that the search room knows of no other: the scale room stands above it.
STORES = Catalog("gallery store", {"lance": "featurelens.scale.store:LanceStore"}, group="featurelens.stores")

_TABLE = re.compile(r"\.lance(@[^/]+)?$")


@runtime_checkable
class Finding(Protocol):
    """Searches one gallery; `nearest` compares vectors, `writable` says whether its folder may hold caches."""

    nearest: Searcher

    @property
    def writable(self) -> bool:
        """Whether cache files may be kept in the gallery's folder."""
        ...

    def reading(self) -> AbstractContextManager[sqlite3.Connection]:
        """A connection to the table `images`, for as long as the `with` runs."""
        ...

    def snapshot(self) -> Snapshot:
        """All vectors as of now; of a table that is too large for memory, an even sample."""
        ...

    def hits(self, root: Path, units: Float32[np.ndarray, "query dim"], limits: Limits) -> list[list[Hit]]:
        """The hits of each query, best first."""
        ...


@runtime_checkable
class Store(Protocol):
    """The rows and vectors of one gallery. `folder` is a folder of this machine for what can be made again.

    `address` opens it again, `finder` searches. Safe to read from several threads; errors come as GalleryError.
    """

    address: str
    folder: Path
    settings: Settings

    @property
    def finder(self) -> Finding:
        """What searches it."""
        ...

    def replaced(self) -> bool:
        """Whether another gallery lies at the address now; who asks goes on reading the one that was opened."""
        ...

    def move(self, images: Images) -> None:
        """The images lie there now; InvalidInput if nothing does."""
        ...

    def update(self, backbone: Backbone, *, retry_skipped: bool, **options: Any) -> UpdateReport:
        """Bring the rows up to date with the images; options as of `Gallery.update`."""
        ...

    def add(self, features: Features, *, optimize: bool) -> list[str]:
        """Vectors made elsewhere, in place of rows of the same names; what the user should know, if anything."""
        ...

    def optimize(self) -> list[str]:
        """Bring up to date what makes searching fast; the names of what was written."""
        ...

    def stored_vector(self, query: Query) -> Float32[np.ndarray, " dim"] | None:
        """The vector of a query that need not be embedded; None if it must."""
        ...

    def hits(self, ids: Sequence[int]) -> list[Hit]:
        """The images of these ids, in this order; those that are not there are left out."""
        ...

    def all_hits(self) -> list[Hit]:
        """Every indexed image, by name."""
        ...

    def features(self) -> Features:
        """All vectors with names and labels, by id."""
        ...

    def skipped(self) -> list[tuple[str, str]]:
        """(name, reason) of every file without a vector, by name."""
        ...

    def original(self, one: int) -> Original:
        """Where an image's file is; InvalidInput for an unknown id."""
        ...

    def count(self) -> int:
        """How many images are indexed."""
        ...

    def close(self) -> None:
        """Let go of it; to close twice is no error."""
        ...


def is_table(place: str | os.PathLike[str]) -> bool:
    """Whether a place is that of a Lance table.

    >>> is_table("cats.lance@before"), is_table("s3://bucket/cats"), is_table("cats")
    (True, True, False)
    """
    text = os.fspath(place).rstrip("/")
    return bool(_TABLE.search(text)) or address_of(text) is not None


def one_folder(images: Images) -> Path:
    """The folder that is meant; InvalidInput for several."""
    if isinstance(images, str | os.PathLike):
        return Path(images)
    if len(images) == 1:
        return Path(images[0])
    raise InvalidInput(f"A gallery in a folder holds the images of one folder; {len(images)} were given.")


def store_class(place: str | os.PathLike[str]) -> Any:
    """The class for a gallery at this place: it has `open(place, say=)` and `create(place, images, spec, ...)`.

    `*.lance` and addresses such as s3://bucket/gallery are Lance tables (`cats.lance@3` one as it was then), everything
    else is a folder with SQLite.
    """
    if is_table(place):
        return STORES.load("lance")
    from featurelens.search.folder_store import FolderStore

    return FolderStore
