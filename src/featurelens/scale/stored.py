"""Queries of a table that need not be embedded."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from featurelens.errors import InvalidInput
from featurelens.images.address import Remote
from featurelens.scale.columns import matrix_of
from featurelens.scale.table import quoted
from featurelens.scale.view import HAVE_VECTORS
from featurelens.search.hit import Hit
from featurelens.search.query import Query, unit_query
from featurelens.search.settings import Settings
from featurelens.shapes import Float32


def stored_vector(query: Query, dataset: Any, settings: Settings) -> Float32[np.ndarray, " dim"] | None:
    """The vector of a query that is a vector, or an unchanged image of the gallery; None if it must be embedded.

    Raises InvalidInput for an unknown id, and for a path where neither a file nor an image of the gallery is.
    """
    if isinstance(query, Hit):
        query = query.id
    if isinstance(query, int | np.integer) and not isinstance(query, bool):
        vector = _vector(dataset, settings, f"id = {int(query)}")
        if vector is None:
            raise InvalidInput(
                f"No image of the gallery has the id {query}. Ids come from hits and from gallery.images(); "
                "a file that was changed has a new one."
            )
        return vector
    if isinstance(query, np.ndarray) and query.dtype.kind == "f":
        return unit_query(query, settings)
    if isinstance(query, str | os.PathLike):
        return _of_file(query, dataset, settings)
    return None


def _of_file(
    query: str | os.PathLike[str], dataset: Any, settings: Settings
) -> Float32[np.ndarray, " dim"] | None:
    root, text = settings.images, os.fspath(query)
    below = text.removeprefix(f"{root}/")
    if below != text:  # of the gallery's own images, wherever they lie
        vector = _vector(dataset, settings, f"path = {quoted(below)}{_unchanged(query)}")
        if vector is not None or isinstance(query, Remote):
            return vector
    if isinstance(query, Remote):
        return None
    path = Path(text)
    if not path.exists():
        vector = _vector(dataset, settings, f"path = {quoted(text)}")
        if vector is None and not any(parent.is_file() for parent in path.parents):
            raise InvalidInput(
                f"There is no file {text}, and no image of that name in the gallery of {root}."
            )
        return vector
    if isinstance(root, Remote):
        return None
    names = {os.path.relpath(path.absolute(), root), os.path.relpath(path.resolve(), root.resolve())}
    wanted = ", ".join(quoted(name.replace(os.sep, "/")) for name in sorted(names))
    return _vector(dataset, settings, f"path IN ({wanted}){_unchanged(query)}")


def _unchanged(query: str | os.PathLike[str]) -> str:
    """For a file of this machine, the condition that it is still the one that was indexed."""
    try:
        status = os.stat(query)
    except (OSError, ValueError):
        return ""
    return f" AND size = {status.st_size} AND mtime_ns = {status.st_mtime_ns}"


def _vector(dataset: Any, settings: Settings, where: str) -> Float32[np.ndarray, " dim"] | None:
    found = dataset.to_table(columns=["vector"], filter=f"{HAVE_VECTORS} AND {where}")
    matrix = matrix_of(found.column("vector"), settings.spec.dim)
    return matrix[0] if len(matrix) else None
