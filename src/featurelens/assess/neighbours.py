"""Exact nearest neighbours by cosine similarity, in blocks of queries."""

from __future__ import annotations

import numpy as np

from featurelens.assess.arrays import blocks, unit
from featurelens.errors import InvalidInput
from featurelens.shapes import Float, Float32, Int64

_GROUP = 32


def nearest(
    queries: Float[np.ndarray, "q d"],
    gallery: Float[np.ndarray, "n d"] | None = None,
    *,
    k: int,
    skip: Int64[np.ndarray, "q"] | None = None,
) -> tuple[Int64[np.ndarray, "q k"], Float32[np.ndarray, "q k"]]:
    """The k most similar gallery rows of each query and their similarities, best first.

    Without a gallery the queries search among themselves and never find themselves; with one, `skip` names
    the gallery row that each query must not find. Equal similarities come in order of the row number.
    Raises InvalidInput when k is more than there are rows to find.

    >>> rows = np.array([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0]])
    >>> nearest(rows, k=1)[0].ravel().tolist()
    [1, 0, 1]
    """
    base = unit(queries if gallery is None else gallery, np.float32)
    asked = base if gallery is None else unit(queries, np.float32)
    if gallery is None:
        skip = np.arange(len(base), dtype=np.int64)
    available = len(base) - (skip is not None)
    if not 1 <= k <= available:
        raise InvalidInput(
            f"k is {k}, but there are {available} other rows to find; choose 1 to {available}."
        )
    indices = np.empty((len(asked), k), dtype=np.int64)
    found = np.empty((len(asked), k), dtype=np.float32)
    for part in blocks(len(asked), 4 * len(base)):
        similarity = asked[part] @ base.T
        if skip is not None:
            similarity[np.arange(part.stop - part.start), skip[part]] = -np.inf
        for offset, row in enumerate(similarity):
            best = _top(row, k)
            indices[part.start + offset] = best
            found[part.start + offset] = row[best]
    return indices, found


def _top(row: Float32[np.ndarray, "n"], k: int) -> Int64[np.ndarray, "k"]:
    """The k largest entries, best first: the k-th largest group maximum bounds what need be sorted."""
    grouped = len(row) // _GROUP * _GROUP
    candidates = np.arange(len(row))
    if grouped // _GROUP > 2 * k:
        maxima = row[:grouped].reshape(-1, _GROUP).max(axis=1)
        bound = np.partition(maxima, len(maxima) - k)[len(maxima) - k]
        candidates = np.flatnonzero(row >= bound)
    order = np.lexsort((candidates, -row[candidates]))[:k]
    return candidates[order].astype(np.int64)
