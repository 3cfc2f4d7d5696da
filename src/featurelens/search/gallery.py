"""The Gallery: a folder that remembers the vectors of a folder of images and finds the nearest."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from threading import RLock
from types import TracebackType

import numpy as np

from featurelens.backbone.protocol import Backbone, Spec
from featurelens.errors import InvalidInput
from featurelens.features.progress import OnProgress
from featurelens.features.table import Features
from featurelens.images.decode import DEFAULT_MAX_PIXELS
from featurelens.search import rows
from featurelens.search.failures import explained
from featurelens.search.finding import Finder, Limits
from featurelens.search.hit import Hit
from featurelens.search.place import folder_of, make_folder
from featurelens.search.query import Query, embedded, loaded, stored_vector, unit_queries
from featurelens.search.reader import Reader
from featurelens.search.settings import Settings, new_epoch, read_settings
from featurelens.search.thumbnails import make_thumbnail, original_of, thumbnail_of
from featurelens.search.update import UpdateReport
from featurelens.search.writing import add_vectors, update_gallery, upkeep, writing
from featurelens.shapes import Float

Say = Callable[[str], None]


class Gallery:
    """Open one with `Gallery.open`, make one with `Gallery.create`; both are context managers.

    One process writes at a time (a second gets GalleryBusy); any number search meanwhile and see what is
    committed. Safe to search from several threads. Vectors are L2-normalised, similarity is their cosine.

    >>> import tempfile
    >>> from PIL import Image
    >>> folder = tempfile.mkdtemp()
    >>> for name in ("red", "blue"):
    ...     Image.new("RGB", (64, 64), name).save(f"{folder}/{name}.png")
    >>> with Gallery.create(folder, backbone="classic:colour") as gallery:
    ...     report = gallery.update()
    ...     hits = gallery.search(f"{folder}/red.png", k=1)
    >>> report.added, hits[0].name
    (2, 'red.png')
    """

    def __init__(self, folder: Path, *, device: str = "auto", say: Say | None = None) -> None:
        self.folder = folder
        self._device, self._say = device, say
        self._lock = RLock()
        self._backbone: Backbone | None = None
        with explained(folder):
            self._reader = Reader(folder)
            try:
                self.settings = read_settings(self._reader.connection, folder)
            except BaseException:
                self._reader.close()
                raise
        self.finder = Finder(folder, self._reader, self._lock, self.spec.dim, self.settings.epoch)

    @classmethod
    def create(
        cls,
        images: str | os.PathLike[str],
        *,
        backbone: Backbone | str = "embedded",
        at: str | os.PathLike[str] | None = None,
        exact: bool = False,
        max_pixels: int = DEFAULT_MAX_PIXELS,
        device: str = "auto",
        say: Say | None = None,
    ) -> Gallery:
        """Make an empty gallery for a folder of images; `update` then fills it.

        It lies in `.featurelens` inside the images folder, or in the folder `at`. `exact` decodes bit for bit
        as Pillow does, `max_pixels` is the limit of one image; both stay with the gallery. Raises
        InvalidInput without such a folder, GalleryError if it cannot be written or holds a gallery already.
        """
        network = loaded(backbone, device, say)
        root = Path(images)
        settings = Settings(root.absolute(), network.spec, exact, max_pixels, new_epoch())
        gallery = cls(make_folder(root, Path(at) if at else None, settings), device=device, say=say)
        gallery._backbone = network
        return gallery

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        *,
        backbone: Backbone | str | None = None,
        images: str | os.PathLike[str] | None = None,
        device: str = "auto",
        say: Say | None = None,
    ) -> Gallery:
        """Open the gallery in a folder, or in the `.featurelens` of a folder of images.

        Without `backbone` the gallery's own is loaded when first needed. `images` says where the images lie
        now, if they were moved. Raises GalleryError (none there, or damaged), SpecMismatch naming both
        backbones if the given one gives other vectors than the gallery holds.
        """
        gallery = cls(folder_of(Path(path)), device=device, say=say)
        try:
            if images is not None:
                gallery.settings = gallery.settings.moved(Path(images).absolute())
            if backbone is not None:
                network = loaded(backbone, device, say)
                gallery.settings.check(network.spec)
                gallery._backbone = network
        except BaseException:
            gallery.close()
            raise
        return gallery

    @property
    def spec(self) -> Spec:
        """The Spec of the backbone whose vectors the gallery holds."""
        return self.settings.spec

    @property
    def images_folder(self) -> Path:
        """The folder of images."""
        return self.settings.images

    @property
    def backbone(self) -> Backbone:
        """The gallery's backbone, loaded by its name at the first use; SpecMismatch if it has changed since."""
        with self._lock:
            if self._backbone is None:
                network = loaded(self.spec.name, self._device, self._say)
                self.settings.check(network.spec)
                self._backbone = network
            return self._backbone

    def update(
        self,
        *,
        batch_size: int = 32,
        workers: int | None = None,
        labels: bool = True,
        retry_skipped: bool = False,
        on_progress: OnProgress | None = None,
    ) -> UpdateReport:
        """Bring the gallery up to date with its folder: new, changed, renamed and deleted files.

        Commits in small durable batches: stop or kill it at any moment, and the next run goes on. A file that
        gives no vector is remembered with its reason and tried again when it changes (`retry_skipped`: now).
        Raises GalleryBusy while another process writes, GalleryError if the folder of images is away or the disk
        is full.
        """
        return update_gallery(
            self.folder,
            self.settings,
            self.backbone,
            batch_size=batch_size,
            workers=workers,
            labels=labels,
            retry_skipped=retry_skipped,
            on_progress=on_progress,
        )

    def add(self, features: Features, *, optimize: bool = True) -> None:
        """Add vectors that were made elsewhere, durably, under their ids as names.

        They replace images of the same name; `update` leaves them alone unless a file of that name appears.
        `optimize=False` leaves the search caches for later, when much is added in many calls. Raises SpecMismatch if
        they are from another backbone.
        """
        self.settings.check(features.spec)
        add_vectors(self.folder, self.settings, features, optimize=optimize)

    def optimize(self) -> list[str]:
        """Write the search caches anew as far as anything has changed; returns the names of those written.

        `update` and `add` do this by themselves when more than a tenth has changed.
        """
        with writing(self.folder) as connection:
            return upkeep(connection, self.folder, self.settings, always=True)

    def search(
        self,
        query: Query,
        *,
        k: int = 10,
        min_similarity: float | None = None,
        path: str | None = None,
        label: str | None = None,
        exact: bool | None = None,
    ) -> list[Hit]:
        """The k images most similar to a query, best first (a query from the gallery finds itself first).

        `query`: a path, an id or Hit, the bytes of a file, a uint8 array [row, col, 3], a PIL image or a float
        vector. `path`: only names that match this glob, or lie in this folder. `exact`: compare with every
        vector (True), or go through the HNSW graph where there is one, from 100,000 images on (default).
        Raises InvalidInput, ImageError for a query that is no image.
        """
        limits = Limits(k, min_similarity, path, label, exact)
        return self.finder.hits(self.images_folder, self.vector(query)[None], limits)[0]

    def vector(self, query: Query) -> Float[np.ndarray, " dim"]:
        """The L2-normalised vector of a query, as `search` compares it: the stored one, or embedded now."""
        with self._lock, explained(self.folder):
            vector = stored_vector(query, self._reader.connection, self.settings)
        return embedded(query, self.settings, self.backbone) if vector is None else vector

    def search_many(
        self,
        vectors: Float[np.ndarray, "query dim"],
        *,
        k: int = 10,
        min_similarity: float | None = None,
        path: str | None = None,
        label: str | None = None,
        exact: bool | None = None,
    ) -> list[list[Hit]]:
        """`search` for many query vectors [query, dim] at once; they need not be normalised."""
        units = unit_queries(np.asarray(vectors), self.settings)
        return self.finder.hits(self.images_folder, units, Limits(k, min_similarity, path, label, exact))

    def images(self) -> list[Hit]:
        """Every indexed image, by name (as hits of similarity 1)."""
        with self._lock, explained(self.folder):
            return rows.all_hits(self._reader.connection, self.images_folder)

    def image(self, one: int) -> Hit:
        """One image by id; InvalidInput if there is none."""
        with self._lock, explained(self.folder):
            found = rows.hits_of(self._reader.connection, self.images_folder, [one], [1.0])
        if not found:
            raise InvalidInput(f"No image of the gallery has the id {one}.")
        return found[0]

    def features(self) -> Features:
        """All vectors with names and labels, in the order of the ids (the order of indexing)."""
        with self._lock, explained(self.folder):
            connection = self._reader.connection
            snapshot = self.finder.snapshot()
            return rows.features_of(connection, snapshot, self.spec)

    def skipped(self) -> list[tuple[str, str]]:
        """(name, reason) of every file that could not be indexed, by name."""
        with self._lock, explained(self.folder):
            return rows.skipped(self._reader.connection)

    def thumbnail(self, image: Query, *, side: int = 256) -> bytes:
        """A small WebP of an image of the gallery (by id or Hit), or of any other image."""
        if isinstance(image, Hit):
            image = image.id
        if isinstance(image, int | np.integer):
            with self._lock, explained(self.folder):
                original = original_of(self._reader.connection, int(image))
                keep = self._reader.writable
            return thumbnail_of(
                original,
                self.folder,
                self.images_folder,
                side=side,
                max_pixels=self.settings.max_pixels,
                keep=keep,
            )
        return make_thumbnail(image, side=side, size=None, max_pixels=self.settings.max_pixels)

    def __len__(self) -> int:
        with self._lock, explained(self.folder):
            return rows.count(self._reader.connection, "indexed")

    def __repr__(self) -> str:
        return f"Gallery({str(self.folder)!r}, backbone={self.spec.name!r})"

    def close(self) -> None:
        """Close the database; to close twice is no error."""
        with self._lock:
            self._reader.close()

    def __enter__(self) -> Gallery:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
