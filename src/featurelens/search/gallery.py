"""The Gallery: remembers the vectors of many images and finds the nearest; a folder, or a store for many machines."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from threading import RLock
from types import TracebackType

import numpy as np

from featurelens.backbone.protocol import Backbone, Spec
from featurelens.backbone.request import free_cores
from featurelens.errors import InvalidInput
from featurelens.features.progress import OnProgress
from featurelens.features.table import Features
from featurelens.images.decode import DEFAULT_MAX_PIXELS
from featurelens.search.finding import Limits
from featurelens.search.hit import Hit
from featurelens.search.query import Query, embedded, loaded, unit_queries
from featurelens.search.store import Finding, Images, Store, store_class
from featurelens.search.thumbnails import make_thumbnail, thumbnail_of
from featurelens.search.update import UpdateReport
from featurelens.search.vectors import sample
from featurelens.search.words import ASKED, Texts, Words, words_vector
from featurelens.shapes import Float

Say = Callable[[str], None]


class Gallery:
    """Open one with `Gallery.open`, make one with `Gallery.create`; both are context managers.

    It lies in a folder, or in a Lance table (`cats.lance`, `s3://bucket/cats.lance`; extra scale): same calls, same
    results. A folder is written by one process at a time (a second gets GalleryBusy), a table by many; any number
    search meanwhile and see what is committed. Safe to search from several threads. Vectors are L2-normalised,
    similarity is their cosine.

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

    def __init__(self, store: Store, *, device: str = "auto", say: Say | None = None) -> None:
        self._store, self._device, self._say = store, device, say
        self._lock = RLock()
        self._backbone: Backbone | None = None
        self.settings = store.settings

    @classmethod
    def create(
        cls,
        images: Images,
        *,
        backbone: Backbone | str = "embedded",
        at: str | os.PathLike[str] | None = None,
        exact: bool = False,
        max_pixels: int = DEFAULT_MAX_PIXELS,
        device: str = "auto",
        say: Say | None = None,
    ) -> Gallery:
        """Make an empty gallery for a folder of images; `update` then fills it.

        It lies in `.featurelens` inside the images folder, or in `at`: a folder, `X.lance`, or an address such as
        s3://bucket/X.lance, which also takes images of other stores, tar shards and Parquet. `exact` decodes bit for
        bit as Pillow does, `max_pixels` is the limit of one image; both stay with the gallery. Raises InvalidInput
        without such a folder, GalleryError if it cannot be written or holds a gallery already.
        """
        kind = store_class(at or "")
        network = loaded(backbone, device, say)
        store = kind.create(at, images, network.spec, exact=exact, max_pixels=max_pixels, say=say)
        gallery = cls(store, device=device, say=say)
        gallery._backbone = network
        return gallery

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        *,
        backbone: Backbone | str | None = None,
        images: Images | None = None,
        device: str = "auto",
        say: Say | None = None,
    ) -> Gallery:
        """Open the gallery in a folder, in the `.featurelens` of a folder of images, or at the address of a table.

        Without `backbone` the gallery's own is loaded when first needed. `images` says where the images lie
        now, if they were moved. Raises GalleryError (none there, or damaged), SpecMismatch naming both
        backbones if the given one gives other vectors than the gallery holds.
        """
        gallery = cls(store_class(path).open(path, say=say), device=device, say=say)
        try:
            if images is not None:
                gallery._store.move(images)
                gallery.settings = gallery._store.settings
            if backbone is not None:
                network = loaded(backbone, device, say, gallery.settings.precision)
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
    def address(self) -> str:
        """What opens this gallery again: its folder, or the address of its table."""
        return self._store.address

    @property
    def folder(self) -> Path:
        """The gallery's folder; of a table, the folder of this machine for what can be made again."""
        return self._store.folder

    @property
    def store(self) -> Store:
        """What the gallery rests on: SQLite in a folder, or a Lance table."""
        return self._store

    @property
    def finder(self) -> Finding:
        """Searches, and reads for those who need more than hits."""
        return self._store.finder

    @property
    def backbone(self) -> Backbone:
        """The gallery's backbone, loaded by its name at the first use; SpecMismatch if it has changed since."""
        with self._lock:
            if self._backbone is None:
                network = loaded(self.spec.name, self._device, self._say, self.settings.precision)
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
        if batch_size < 1 or (workers is not None and workers < 1):
            raise InvalidInput(f"batch_size is {batch_size} and workers {workers}; both must be at least 1.")
        return self._store.update(
            self.backbone,
            batch_size=batch_size,
            workers=workers or free_cores(),
            labels=labels,
            retry_skipped=retry_skipped,
            on_progress=on_progress,
        )

    def add(self, features: Features, *, optimize: bool = True) -> list[str]:
        """Add vectors that were made elsewhere, durably, under their ids as names; returns notes as of UpdateReport.

        They replace images of the same name; `update` leaves them alone unless a file of that name appears.
        `optimize=False` leaves the search caches for later, when much is added in many calls. Raises SpecMismatch if
        they are from another backbone.
        """
        self.settings.check(features.spec)
        return self._store.add(features, optimize=optimize)

    def optimize(self) -> list[str]:
        """Write the search caches anew as far as anything has changed, also in them; the names of those written.

        `update` and `add` do this by themselves when more than a tenth has changed, `update` also for damaged files.
        """
        return self._store.optimize()

    def search(
        self,
        query: Query | None = None,
        *,
        text: Texts | None = None,
        less_text: Texts | None = None,
        text_weight: float = 1.0,
        k: int = 10,
        min_similarity: float | None = None,
        path: str | None = None,
        label: str | None = None,
        exact: bool | None = None,
    ) -> list[Hit]:
        """The k images most similar to a query, best first (a query from the gallery finds itself first).

        `query`: a path, an id or Hit, the bytes of a file, a uint8 array [row, col, 3], a PIL image or a float
        vector. `text`, `less_text`: words instead of it, or added and taken away (`words_vector` says how).
        `path`: only names that match this glob, or lie in this folder. `exact`: compare with every
        vector (True), or go through the HNSW graph where there is one, from 100,000 images on (default).
        Raises InvalidInput, ReadError for a query that can't be read, BackboneError for words without a text tower.
        """
        limits = Limits(k, min_similarity, path, label, exact)
        words = Words.of(text, less_text, text_weight)
        if query is None and not words:
            raise InvalidInput("Nothing to search for was given: name a file, or give text='a red dress'.")
        vector = None if query is None else self.vector(query)
        if words:
            rows = lambda: sample(self.finder.snapshot(), ASKED)  # noqa: E731
            vector = words_vector(words, vector, self.spec, lambda: self.backbone, rows)
        assert vector is not None
        return self.finder.hits(self.images_folder, vector[None], limits)[0]

    def vector(self, query: Query) -> Float[np.ndarray, " dim"]:
        """The L2-normalised vector of a query, as `search` compares it: the stored one, or embedded now."""
        vector = self._store.stored_vector(query)
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
        return self._store.all_hits()

    def image(self, one: int) -> Hit:
        """One image by id; InvalidInput if there is none."""
        found = self._store.hits([one])
        if not found:
            raise InvalidInput(f"No image of the gallery has the id {one}.")
        return found[0]

    def features(self) -> Features:
        """All vectors with names and labels, in the order of the ids (the order of indexing)."""
        return self._store.features()

    def skipped(self) -> list[tuple[str, str]]:
        """(name, reason) of every file that could not be indexed, by name."""
        return self._store.skipped()

    def thumbnail(self, image: Query, *, side: int = 256) -> bytes:
        """A small WebP of an image of the gallery (by id or Hit), or of any other image; of a sound its spectrogram."""
        image = image.id if isinstance(image, Hit) else image
        if isinstance(image, int | np.integer):
            return thumbnail_of(
                self._store.original(int(image)),
                self.folder,
                self.images_folder,
                side=side,
                max_pixels=self.settings.max_pixels,
                keep=self.finder.writable,
                spec=self.spec,
            )
        most = self.settings.max_pixels
        return make_thumbnail(image, side=side, size=None, max_pixels=most, spec=self.spec)

    def __len__(self) -> int:
        return self._store.count()

    def __repr__(self) -> str:
        return f"Gallery({self.address!r}, backbone={self.spec.name!r})"

    def close(self) -> None:
        """Let go of the database; to close twice is no error."""
        self._store.close()

    def __enter__(self) -> Gallery:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
