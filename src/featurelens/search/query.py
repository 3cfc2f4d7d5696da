"""What one may search with, turned into a vector."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from featurelens.backbone.protocol import Backbone
from featurelens.backbone.reader import reader_of
from featurelens.backbone.request import Precision
from featurelens.errors import InvalidInput
from featurelens.features.units import unit_rows, why_unfit
from featurelens.images.parts import mean_vector
from featurelens.search.hit import Hit
from featurelens.search.rows import id_of_name, vector_of
from featurelens.search.settings import Settings
from featurelens.shapes import Float32

Query = int | np.integer | Hit | str | os.PathLike[str] | bytes | np.ndarray | Image.Image


def stored_vector(
    query: Query, connection: sqlite3.Connection, settings: Settings
) -> Float32[np.ndarray, " dim"] | None:
    """The vector of a query that need not be embedded; None if it must.

    That is a vector, or an image of the gallery itself: by id, by hit, or by a path whose file has not changed.
    """
    if isinstance(query, Hit):
        query = query.id
    if isinstance(query, int | np.integer) and not isinstance(query, bool):
        vector = vector_of(connection, int(query))
        if vector is None:
            raise InvalidInput(
                f"No image of the gallery has the id {query}. Ids come from hits and from gallery.images(); "
                "a file that was changed has a new one."
            )
        return vector
    if isinstance(query, np.ndarray) and query.dtype.kind == "f":
        return unit_query(query, settings)
    if isinstance(query, str | os.PathLike):
        return _of_file(Path(query), connection, settings)
    return None


def embedded(query: Query, settings: Settings, backbone: Backbone) -> Float32[np.ndarray, " dim"]:
    """The vector of an image (of a sound ...), read as the gallery reads; ReadError if that fails."""
    if not isinstance(query, str | os.PathLike | bytes | np.ndarray | Image.Image):
        raise InvalidInput(
            f"Cannot search with {type(query).__name__}; give a path, an id, a hit, the bytes of a file, "
            f"a uint8 array [row, col, 3], a PIL image, or a float vector of {settings.spec.dim} numbers."
        )
    reader = reader_of(backbone.spec, exact=settings.exact, max_pixels=settings.max_pixels)
    return unit_queries(mean_vector(backbone.embed, reader.read(query))[None], settings)[0]


def unit_query(vector: np.ndarray, settings: Settings) -> Float32[np.ndarray, " dim"]:
    """One query vector, normalised; InvalidInput for several, and as of `unit_queries`."""
    units = unit_queries(np.atleast_2d(vector), settings)
    if len(units) != 1:
        raise InvalidInput(
            f"{len(units)} query vectors were given to a search for one; give one, or all of them to search_many."
        )
    return units[0]


def unit_queries(vectors: np.ndarray, settings: Settings) -> Float32[np.ndarray, "query dim"]:
    """Query vectors, normalised; InvalidInput for a wrong length, NaN, infinity or zero."""
    dim = settings.spec.dim
    if vectors.ndim != 2 or vectors.shape[1] != dim or vectors.dtype.kind != "f":
        raise InvalidInput(
            f"The query has shape {list(vectors.shape)} ({vectors.dtype}); '{settings.spec.name}' gives float "
            f"vectors of {dim} numbers."
        )
    units, good = unit_rows(vectors)
    if not good.all():
        bad = int((~good).argmax())
        raise InvalidInput(f"Query {bad} cannot be used: {why_unfit(vectors[bad])}.")
    return units


def _of_file(
    path: Path, connection: sqlite3.Connection, settings: Settings
) -> Float32[np.ndarray, " dim"] | None:
    """The vector of a file of the gallery that has not changed since it was indexed."""
    root = settings.images
    try:
        status = path.stat()
    except FileNotFoundError as error:
        one = id_of_name(connection, os.fspath(path))
        if one is None:
            raise InvalidInput(
                f"There is no file {path}, and no image of that name in the gallery of {root}."
            ) from error
        return vector_of(connection, one)
    except (OSError, ValueError):
        return None  # decode says what is wrong with it
    for name in {os.path.relpath(path.absolute(), root), os.path.relpath(path.resolve(), root.resolve())}:
        row = connection.execute(
            "SELECT id FROM images WHERE path = ? AND size = ? AND mtime_ns = ? AND status = 'indexed'",
            (os.fsencode(name.replace(os.sep, "/")), status.st_size, status.st_mtime_ns),
        ).fetchone()
        if row is not None:
            return vector_of(connection, row[0])
    return None


def loaded(
    backbone: Backbone | str,
    device: str,
    say: Callable[[str], None] | None,
    precision: Precision = "auto",
) -> Backbone:
    """The backbone itself, or the one of that name."""
    if not isinstance(backbone, str):
        return backbone
    from featurelens.backbone import load_backbone

    return load_backbone(backbone, device=device, precision=precision, say=say)
