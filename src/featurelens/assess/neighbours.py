"""Exact nearest neighbours by cosine similarity, in blocks of queries."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from featurelens.assess.arrays import BLOCK_BYTES, blocks, comparable, unit
from featurelens.assess.threads import in_threads
from featurelens.errors import InvalidInput
from featurelens.shapes import Float, Int64

_GROUP = 32
_TILE = 4096


def nearest(
    queries: Float[np.ndarray, "q d"],
    gallery: Float[np.ndarray, "n d"] | None = None,
    *,
    k: int,
    skip: Int64[np.ndarray, "q"] | None = None,
) -> tuple[Int64[np.ndarray, "q k"], Float[np.ndarray, "q k"]]:
    """The k most similar gallery rows of each query and their similarities, best first.

    Without a gallery the queries search among themselves and never find themselves; with one, `skip` names
    the gallery row that each query must not find. Equal similarities come in order of the row number.
    Raises InvalidInput when k is more than there are rows to find.

    >>> rows = np.array([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0]])
    >>> nearest(rows, k=1)[0].ravel().tolist()
    [1, 0, 1]
    """
    base = comparable(queries if gallery is None else gallery)
    asked = base if gallery is None else unit(queries, base.dtype.type)
    if gallery is None:
        skip = np.arange(len(base), dtype=np.int64)
    available = len(base) - (skip is not None)
    if not 1 <= k <= available:
        raise InvalidInput(
            f"k is {k}, but there are {available} other rows to find; choose 1 to {available}."
        )
    indices = np.empty((len(asked), k), dtype=np.int64)
    found = np.empty((len(asked), k), dtype=base.dtype)
    wide = max(_TILE, 2 * k + 1)

    parts = list(blocks(len(asked), base.itemsize * wide, budget=BLOCK_BYTES // 2))

    def search(part: slice) -> tuple[Int64[np.ndarray, "p k"], Float[np.ndarray, "p k"]]:
        tiles = blocks(len(base), 1, budget=wide)
        return _search(asked[part], base, tiles, k, None if skip is None else skip[part])

    for part, of_part in zip(parts, in_threads(search, parts), strict=True):
        indices[part], found[part] = of_part
    return indices, found


def _search(
    queries: Float[np.ndarray, "q d"],
    base: Float[np.ndarray, "n d"],
    tiles: Iterable[slice],
    k: int,
    skip: Int64[np.ndarray, "q"] | None,
) -> tuple[Int64[np.ndarray, "q k"], Float[np.ndarray, "q k"]]:
    """The k best of each query: tile after tile, only what beats the k-th best so far is looked at."""
    count = len(queries)
    best = np.full((count, k), -np.inf, base.dtype)
    best_at = np.zeros((count, k), np.int64)
    for tile in tiles:
        similarity = queries @ base[tile].T
        if skip is not None:
            inside = np.flatnonzero((skip >= tile.start) & (skip < tile.stop))
            similarity[inside, skip[inside] - tile.start] = -np.inf
        bound = (
            _kth(similarity, k) if tile.start == 0 else np.nextafter(best[:, -1], np.inf, dtype=base.dtype)
        )
        places = np.flatnonzero(similarity >= bound[:, None])
        rows, columns = np.divmod(places, similarity.shape[1])
        values = np.concatenate([best.ravel(), similarity.ravel()[places]])
        at = np.concatenate([best_at.ravel(), columns + tile.start])
        rows = np.concatenate([np.repeat(np.arange(count), k), rows])
        order = np.lexsort((-values, rows))  # stable: of equal ones the lower row number stays first
        first = np.searchsorted(rows[order], np.arange(count))
        taken = order[first[:, None] + np.arange(k)]
        best, best_at = values[taken], at[taken]
    return best_at, best


def _kth(similarity: Float[np.ndarray, "q n"], k: int) -> Float[np.ndarray, "q"]:
    """At most the k-th largest of each row; where rows are long, by the k-th largest maximum of groups."""
    count, wide = similarity.shape
    if wide < k:
        return np.full(count, -np.inf, similarity.dtype)
    groups = wide // _GROUP
    if groups > 2 * k:
        cut = similarity[:, : groups * _GROUP].reshape(count, _GROUP, groups)
        similarity = cut.max(axis=1)
    last = similarity.shape[1] - k
    return np.partition(similarity, last, axis=1)[:, last]
