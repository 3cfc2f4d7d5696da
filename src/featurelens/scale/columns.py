"""The columns of a table, and rows turned into them and back."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np

from featurelens.backbone.protocol import Spec
from featurelens.errors import GalleryError
from featurelens.images.address import place_of
from featurelens.scale.sources import Source
from featurelens.search.settings import Settings
from featurelens.shapes import Float32

FORMAT = 1
INDEXED, SKIPPED = "indexed", "skipped"
COUNTER, DONE = (
    "counter",
    "done",
)  # rows that are no images: the last id given away; a container that was read whole
COUNTER_PATH = ""  # no file has this name
ABOUT = ("id", "path", "size", "mtime_ns", "hash", "width", "height", "format", "label", "status", "reason")
_SETTINGS = b"featurelens"
_KEY = {
    b"lance-schema:unenforced-primary-key": b"true"
}  # two writers that insert one path collide, and one looks again


@dataclass(frozen=True)
class Row:
    """One file: with its vector, or with the reason why it has none."""

    id: int
    path: str
    size: int
    mtime_ns: int
    hash: bytes | None = None
    width: int | None = None
    height: int | None = None
    format: str | None = None
    label: str | None = None
    status: str = INDEXED
    reason: str | None = None
    vector: Float32[np.ndarray, " dim"] | None = None


def schema_of(dim: int, metadata: Mapping[bytes, bytes]) -> Any:
    """The Arrow schema of a table of vectors of this length."""
    pa = import_module("pyarrow")
    text, number = pa.string(), pa.int64()
    fields = [
        pa.field("id", number, nullable=False),
        pa.field("path", text, nullable=False, metadata=_KEY),
        pa.field("size", number, nullable=False),
        pa.field("mtime_ns", number, nullable=False),
        pa.field("hash", pa.binary()),
        pa.field("width", pa.int32()),
        pa.field("height", pa.int32()),
        pa.field("format", text),
        pa.field("label", text),
        pa.field("status", text, nullable=False),
        pa.field("reason", text),
        pa.field("vector", pa.list_(pa.float32(), dim)),
    ]
    return pa.schema(fields, metadata=dict(metadata))


def arrow_of(rows: Sequence[Row], schema: Any) -> Any:
    """Rows as an Arrow table of this schema; names as the table spells them."""
    pa = import_module("pyarrow")
    dim = schema.field("vector").type.list_size
    flat = np.zeros((len(rows), dim), np.float32)
    without = np.ones(len(rows), bool)
    for i, row in enumerate(rows):
        if row.vector is not None:
            flat[i], without[i] = row.vector, False
    columns: list[Any] = []
    for name in ABOUT:
        values = [getattr(row, name) for row in rows]
        columns.append(
            pa.array([spelt(v) for v in values] if name == "path" else values, schema.field(name).type)
        )
    columns.append(
        pa.FixedSizeListArray.from_arrays(
            pa.array(flat.ravel()), type=schema.field("vector").type, mask=pa.array(without)
        )
    )
    return pa.Table.from_arrays(columns, schema=schema)


def matrix_of(column: Any, dim: int) -> Float32[np.ndarray, "row dim"]:
    """A column of vectors without gaps as float32 [row, dim]."""
    parts = [np.asarray(chunk.flatten()).reshape(-1, dim) for chunk in column.chunks if len(chunk)]
    return np.concatenate(parts).astype(np.float32, copy=False) if parts else np.empty((0, dim), np.float32)


def rows_of(dataset: Any, names: Sequence[str]) -> list[Row]:
    """The rows of these names, with their vectors."""
    quoted = ", ".join("'" + spelt(name).replace("'", "''") + "'" for name in names)
    table = dataset.to_table(columns=[*ABOUT, "vector"], filter=f"path IN ({quoted})")
    found = []
    for about in table.to_pylist():
        vector = about.pop("vector")
        about["path"] = called(about["path"])
        found.append(Row(**about, vector=None if vector is None else np.asarray(vector, np.float32)))
    return found


def spelt(name: str) -> str:
    """A file name as the table holds it: bytes that are no UTF-8 become characters of a private plane.

    >>> called(spelt("caf\\udce9.jpg")) == "caf\\udce9.jpg"
    True
    """
    return (
        name
        if name.isascii()
        else "".join(chr(ord(c) + 0x100000) if "\udc80" <= c <= "\udcff" else c for c in name)
    )


def called(text: str) -> str:
    """The inverse of `spelt`."""
    if text.isascii():
        return text
    return "".join(chr(ord(c) - 0x100000) if 0x10DC80 <= ord(c) <= 0x10DCFF else c for c in text)


def metadata_of(settings: Settings, source: Source) -> dict[bytes, bytes]:
    """What a table remembers beside its rows."""
    values = {
        "format": FORMAT,
        "root": spelt(source.root),
        "patterns": [spelt(p) for p in source.patterns],
        "spec": settings.spec.to_json(),
        "exact": settings.exact,
        "max_pixels": settings.max_pixels,
        "epoch": settings.epoch,
    }
    return {_SETTINGS: json.dumps(values).encode()}


def settings_of(metadata: Mapping[bytes, bytes] | None, address: str) -> tuple[Settings, Source]:
    """The inverse; GalleryError for a table of another program or of a newer version."""
    try:
        values = json.loads((metadata or {})[_SETTINGS])
        if values["format"] > FORMAT:
            raise GalleryError(
                f"The gallery {address} was made by a newer featurelens (format {values['format']}; this one reads "
                f"{FORMAT}). Update featurelens, or index into another table."
            )
        source = Source(called(values["root"]), tuple(called(p) for p in values["patterns"]))
        settings = Settings(
            place_of(source.root),
            Spec.from_json(values["spec"]),
            bool(values["exact"]),
            int(values["max_pixels"]),
            values["epoch"],
        )
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise GalleryError(
            f"{address} is a Lance table, but holds no gallery of featurelens. Give another address."
        ) from error
    return settings, source
