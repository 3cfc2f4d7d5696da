"""Near-copies: images whose features nearly coincide, across a split or under two labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from featurelens.assess.arrays import Labels, blocks, comparable, encode
from featurelens.assess.collapse import ROUNDINGS
from featurelens.assess.neighbours import nearest
from featurelens.errors import InvalidInput
from featurelens.shapes import Float

SHARE_OF_TYPICAL = 0.15
_SAME = {np.dtype(np.float32): 1e-6, np.dtype(np.float64): (ROUNDINGS * float(np.finfo(np.float32).eps)) ** 2}
"""Cosine distances up to this are rounding: of products of that type, or of a network that computed in float32."""


@dataclass(frozen=True)
class Pair:
    """Two rows (a < b), their cosine distance, and how that compares with a typical nearest neighbour's."""

    a: int
    b: int
    distance: float
    relative: float


def copies(features: Float[np.ndarray, "n d"], *, limit: float | None = None) -> list[Pair]:
    """All pairs of rows that are nearly the same image, closest first.

    `limit` is the largest cosine distance of a copy; by default 0.15 of the median distance of images to
    their nearest neighbour (at least what rounding makes of it), so that it suits any backbone. Where most images have a copy,
    that median says nothing: give the limit then.

    >>> rows = np.random.default_rng(0).standard_normal((50, 8))
    >>> [(pair.a, pair.b) for pair in copies(np.vstack([rows, rows[:1]]))]
    [(0, 50)]
    """
    n = len(features)
    if n < 2:
        return []
    _, similarity = nearest(features, k=1)
    typical = float(np.median(1 - similarity[:, 0]))
    if limit is None:
        limit = max(SHARE_OF_TYPICAL * typical, _SAME[similarity.dtype])
    rows = comparable(features)
    near = np.flatnonzero(1 - similarity[:, 0] <= limit)
    pairs = []
    for part in blocks(len(near), 4 * n):
        close = rows[near[part]] @ rows.T >= 1 - limit
        for offset, b in np.argwhere(close).tolist():
            a = int(near[part][offset])
            if a < b:
                distance = float(1 - rows[a].astype(np.float64) @ rows[b].astype(np.float64))
                pairs.append(Pair(a, b, max(distance, 0.0), distance / typical if typical else 0.0))
    return sorted(pairs, key=lambda pair: (pair.distance, pair.a, pair.b))


def two_labels(pairs: Sequence[Pair], labels: Labels, n: int) -> list[Pair]:
    """The copies that carry two different labels: at least one label is wrong, or both are true."""
    codes = encode(labels, n).codes
    return [p for p in pairs if codes[p.a] >= 0 and codes[p.b] >= 0 and codes[p.a] != codes[p.b]]


def across(pairs: Sequence[Pair], sides: Sequence[str]) -> list[Pair]:
    """The copies that lie on two sides of a split ('train', 'test'; '' is on none): a leak.

    Raises InvalidInput when a pair points beyond the sides.
    """
    last = max((p.b for p in pairs), default=-1)
    if last >= len(sides):
        raise InvalidInput(f"A pair names row {last}, but there are {len(sides)} sides; give one per row.")
    return [p for p in pairs if sides[p.a] and sides[p.b] and sides[p.a] != sides[p.b]]
