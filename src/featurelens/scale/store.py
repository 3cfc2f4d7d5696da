"""A gallery in a Lance table: the same calls as on SQLite, for many writers and any number of readers."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from featurelens.backbone.protocol import Backbone, Spec
from featurelens.errors import InvalidInput
from featurelens.features.table import Features
from featurelens.scale.address import local_folder, split_version
from featurelens.scale.columns import SKIPPED, Row, called, metadata_of, settings_of
from featurelens.scale.finder import TableFinder, features_rows, hit_of
from featurelens.scale.sources import Source, source_of
from featurelens.scale.stored import stored_vector
from featurelens.scale.table import Table
from featurelens.scale.update import Team, update_table
from featurelens.scale.upkeep import MakeIndex, tend
from featurelens.scale.view import HAVE_VECTORS
from featurelens.search.hit import Hit
from featurelens.search.query import Query
from featurelens.search.rows import storable
from featurelens.search.settings import Settings, new_epoch
from featurelens.search.thumbnails import Original
from featurelens.search.update import UpdateReport
from featurelens.shapes import Float32

Say = Callable[[str], None]
_SHOWN = ["id", "path", "label", "width", "height"]
_BYTES = 64 << 20  # of vectors in one commit


class LanceStore:
    """One table, and a folder of this machine for thumbnails and the like."""

    def __init__(self, table: Table, settings: Settings, source: Source) -> None:
        self.table, self.settings, self.source = table, settings, source
        self.address = table.address if table.version is None else f"{table.address}@{table.version}"
        self.folder: Path = local_folder(table.address)
        self.finder = TableFinder(table, settings.spec.dim, settings.epoch)

    @classmethod
    def open(cls, place: str | os.PathLike[str], *, say: Say | None = None) -> LanceStore:
        """The table at an address, also as it was: `cats.lance@7`, `cats.lance@before`; GalleryError if none."""
        address, version = split_version(place)
        table = Table(address, version=version, say=say)
        return cls(table, *settings_of(table.latest().schema.metadata, address))

    @classmethod
    def create(
        cls,
        place: str | os.PathLike[str],
        images: Any,
        spec: Spec,
        *,
        exact: bool,
        max_pixels: int,
        say: Say | None = None,
    ) -> LanceStore:
        """An empty table for images of a folder, of another store, or inside of containers."""
        address, version = split_version(place)
        if version is not None:
            raise InvalidInput(f"'{place}' names a state of the past; give the address without '@{version}'.")
        source = source_of(images)
        source.require()  # before there is a table
        settings = Settings(source.place, spec, exact, max_pixels, new_epoch())
        return cls(Table.create(address, spec.dim, metadata_of(settings, source)), settings, source)

    def replaced(self) -> bool:
        """Whether the table was made anew; who asks goes on reading the state before."""
        return self.table.replaced()

    def move(self, images: Any) -> None:
        """The images lie there now; the next update remembers it. InvalidInput for images of another kind."""
        source = source_of(images)
        if source.holds_containers != self.source.holds_containers:
            raise InvalidInput(
                f"{self.address} holds images {_kind(self.source)}, and {source.root} gives images {_kind(source)}. "
                "Index these into another table."
            )
        source.require()
        self.source, self.settings = source, replace(self.settings, images=source.place)

    def update(
        self,
        backbone: Backbone,
        *,
        retry_skipped: bool,
        team: Team | None = None,
        make_index: MakeIndex | None = None,
        **options: Any,
    ) -> UpdateReport:
        """Bring the rows up to date with the images, by this process or by a team of others; the index likewise."""
        self._remember()
        report = update_table(self, backbone, retry_skipped=retry_skipped, team=team, **options)
        notes: list[str] = []
        tend(self.table, make_index=make_index, note=notes.append)
        return replace(report, notes=(*report.notes, *notes))

    def add(self, features: Features, *, optimize: bool) -> list[str]:
        """Vectors made elsewhere, in place of rows of the same names; what could not be done to the indexes."""
        notes: list[str] = []
        labels = features.labels or ("",) * len(features)
        first = self.table.reserve(len(features))
        step = max(1, _BYTES // (4 * self.settings.spec.dim))
        for start in range(0, len(features), step):
            end = min(start + step, len(features))
            rows = [
                Row(
                    first + i,
                    features.ids[i],
                    -1,
                    0,
                    label=storable(labels[i]) or None,
                    vector=features.vectors[i],
                )
                for i in range(start, end)
            ]
            self.table.merge(rows, replace=True)
        if optimize:
            tend(self.table, note=notes.append)
        return notes

    def optimize(self) -> list[str]:
        """Put small files together, make and extend the indexes."""
        return tend(self.table, always=True)

    def stored_vector(self, query: Query) -> Float32[np.ndarray, " dim"] | None:
        """The vector of a query that is one, or an unchanged image of the gallery."""
        with self.table.reading() as dataset:
            return stored_vector(query, dataset, self.settings)

    def hits(self, ids: Sequence[int]) -> list[Hit]:
        """The images of these ids, in this order."""
        if not len(ids):
            return []
        wanted = f"{HAVE_VECTORS} AND id IN ({', '.join(str(int(one)) for one in ids)})"
        found = self._read(_SHOWN, wanted)
        by_id = {row["id"]: hit_of(row, self.settings.images, 1.0) for row in found}
        return [by_id[int(one)] for one in ids if int(one) in by_id]

    def all_hits(self) -> list[Hit]:
        """Every indexed image, by name."""
        found = self._read(_SHOWN, HAVE_VECTORS)
        hits = [hit_of(row, self.settings.images, 1.0) for row in found]
        return sorted(hits, key=lambda hit: os.fsencode(hit.name))

    def features(self) -> Features:
        """All vectors with names and labels, by id."""
        with self.table.reading() as dataset:
            _, names, labels, vectors = features_rows(dataset, self.settings.spec.dim)
        texts = tuple(label or "" for label in labels)
        return Features(tuple(names), vectors, self.settings.spec, texts if any(texts) else None)

    def skipped(self) -> list[tuple[str, str]]:
        """(name, reason) of every file without a vector."""
        found = self._read(["path", "reason"], f"status = '{SKIPPED}'")
        pairs = [(called(row["path"]), row["reason"]) for row in found]
        return sorted(pairs, key=lambda pair: os.fsencode(pair[0]))

    def original(self, one: int) -> Original:
        """Where an image's file is."""
        columns = ["path", "hash", "width", "height", "size", "mtime_ns"]
        found = self._read(columns, f"{HAVE_VECTORS} AND id = {int(one)}")
        if not found:
            raise InvalidInput(f"No image of the gallery has the id {one}.")
        row = found[0]
        size = (row["width"], row["height"]) if row["width"] else None
        return Original(called(row["path"]), row["hash"] or None, size, (row["size"], row["mtime_ns"]))

    def count(self) -> int:
        """How many images are indexed."""
        with self.table.reading() as dataset:
            return dataset.count_rows(HAVE_VECTORS)

    def _read(self, columns: list[str], where: str) -> list[dict[str, Any]]:
        with self.table.reading() as dataset:
            return dataset.to_table(columns=columns, filter=where).to_pylist()

    def close(self) -> None:
        """Nothing is held open."""

    def _remember(self) -> None:
        """Write down where the images lie, if that has changed."""
        metadata = metadata_of(self.settings, self.source)
        if {
            **(self.table.refresh().schema.metadata or {}),
            **metadata,
        } != self.table.latest().schema.metadata:
            texts = {key.decode(): value.decode() for key, value in metadata.items()}
            self.table.commit(lambda dataset: dataset.replace_schema_metadata(texts))


def _kind(source: Source) -> str:
    return "inside of shards" if source.holds_containers else "as files"
