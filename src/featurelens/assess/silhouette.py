"""Silhouette: is every image closer to its own class than to the nearest other one?"""

from __future__ import annotations

from typing import Literal

import numpy as np

from featurelens.assess.arrays import BLOCK_BYTES, Classes, Labels, blocks, check_table, checked, encode
from featurelens.assess.both_roles import spreads, wide_interval
from featurelens.assess.result import Measure, undefined
from featurelens.assess.threads import in_threads
from featurelens.shapes import Float, Float64, Int64

Metric = Literal["cosine", "euclidean"]
_TILE = 1024
_FEW = 32
_CLOSE = 0.1
"""Tiles with a squared distance below this share of the squared lengths are computed in float64: there the
difference of large numbers would cost float32 its digits."""
_SMALL = 4
"""So are tiles with a class of fewer images, whose mean does not even out what float32 rounds."""


def silhouette(
    features: Float[np.ndarray, "n d"],
    labels: Labels,
    *,
    metric: Metric = "cosine",
    shuffles: int = 5,
    seed: int = 0,
) -> Measure:
    """Mean silhouette over the labelled rows, -1 to 1 (Rousseeuw 1987), with one value per class.

    Exact for both metrics: cosine through class sums (linear in n), Euclidean in symmetric tiles. An image
    that is alone in its class counts 0, as in scikit-learn; undefined when there are fewer than two classes
    or as many classes as images. `shuffles` label shuffles give the chance level (cosine only; the
    Euclidean one is taken as 0). Raises InvalidInput for features that are not finite.

    >>> rows = np.array([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [0.1, 1.0]])
    >>> round(silhouette(rows, ["a", "a", "b", "b"]).value, 3)
    0.994
    """
    classes = encode(labels, len(features))
    protocol = f"{metric} distance, mean over images"
    known = classes.known
    n, count = int(known.sum()), len(classes.names)
    if count < 2 or count >= n:
        reason = f"silhouette needs from 2 to n - 1 classes; there are {count} for {n} labelled images"
        return undefined(f"silhouette ({metric})", reason, n=n, protocol=protocol)
    rows, codes = features[known], classes.codes[known]
    per_item = np.full(len(features), np.nan)
    per_item[known] = silhouette_samples(rows, codes, metric=metric)

    def values(kept: Int64[np.ndarray, "kept"]) -> dict[str, Float64[np.ndarray, "kept"]]:
        used = np.unique(codes[kept], return_inverse=True)[1].astype(np.int64)
        few = used.max(initial=0) < 1
        none = np.full(len(kept), np.nan)
        return {metric: none if few else silhouette_samples(rows[kept], used, metric=metric)}

    wider = spreads(values, codes, seed=seed)[metric]
    return Measure(
        f"silhouette ({metric})",
        float(np.nanmean(per_item)),
        n=n,
        protocol=f"{protocol}; interval by bootstrap over images, {wider:.2f} times as wide because each is a "
        "neighbour of others too (grouped jackknife)",
        interval=wide_interval(per_item, wider, limits=(-1.0, 1.0), seed=seed),
        chance=_chance(rows, codes, shuffles, seed) if metric == "cosine" else 0.0,
        detail={
            "per_class": _per_class(per_item, classes),
            "unlabelled": len(features) - n,
            "spread": wider,
        },
        per_item=per_item,
    )


def silhouette_samples(
    features: Float[np.ndarray, "n d"], codes: Int64[np.ndarray, "n"], *, metric: Metric = "cosine"
) -> Float64[np.ndarray, "n"]:
    """The silhouette of each row, for class codes 0, 1, 2, ... that are all in use."""
    counts = np.bincount(codes)
    means = _euclidean_means if metric == "euclidean" else _cosine_means
    own, other = means(features, codes, counts)
    wider = np.maximum(own, other)
    score = np.divide(other - own, wider, out=np.zeros(len(codes)), where=wider > 0)
    score[counts[codes] == 1] = 0
    return score


def _cosine_means(
    features: Float[np.ndarray, "n d"], codes: Int64[np.ndarray, "n"], counts: Int64[np.ndarray, "classes"]
) -> tuple[Float64[np.ndarray, "n"], Float64[np.ndarray, "n"]]:
    """Mean distance of each row to the others of its class, and to the nearest other class, by class sums.

    Of a unit row, the mean distance to a class is 1 minus the product with the mean of its unit rows.
    """
    check_table(features)
    n, parts = len(codes), list(blocks(len(codes), 8 * features.shape[1], budget=BLOCK_BYTES // 4))

    def summed(
        part: slice,
    ) -> tuple[Float64[np.ndarray, "p"], Int64[np.ndarray, "c"], Float64[np.ndarray, "c d"]]:
        """One over the length of each row, the classes of the part, and the sum of the unit rows of each."""
        rows = features[part].astype(np.float64, copy=False)
        length = np.sqrt(np.einsum("nd,nd->n", rows, rows))
        if not np.isfinite(length.sum()):
            checked(features)
        scale = np.divide(1, length, out=np.zeros(len(rows)), where=length > 0)
        order = np.argsort(codes[part], kind="stable")
        present, first = np.unique(codes[part][order], return_index=True)
        groups = np.split(order, first[1:])
        return scale, present, np.stack([scale[members] @ rows[members] for members in groups])

    inverse, sums = np.zeros(n), np.zeros((len(counts), features.shape[1]))
    for part, (scale, present, of_part) in zip(parts, in_threads(summed, parts), strict=True):
        inverse[part] = scale
        sums[present] += of_part
    away = -(sums / counts[:, None]).T

    def compared(part: slice) -> tuple[Float64[np.ndarray, "p"], Float64[np.ndarray, "p"]]:
        """The products of the part's rows with the mean of their class, and the least with another one."""
        products, rows = (
            features[part].astype(np.float64, copy=False) @ away,
            np.arange(part.stop - part.start),
        )
        mine = products[rows, codes[part]]
        products[rows, codes[part]] = np.inf
        return mine, products.min(axis=1)

    mine, nearest = (np.concatenate(found) for found in zip(*in_threads(compared, parts), strict=True))
    size, itself = counts[codes], inverse == 0  # a row of zeros is at 1 from itself too
    own = (size * (1 + inverse * mine) - itself) / np.maximum(size - 1, 1)
    return np.maximum(own, 0), np.maximum(1 + inverse * nearest, 0)


def _euclidean_means(
    features: Float[np.ndarray, "n d"], codes: Int64[np.ndarray, "n"], counts: Int64[np.ndarray, "classes"]
) -> tuple[Float64[np.ndarray, "n"], Float64[np.ndarray, "n"]]:
    """Mean distance of each row to the others of its class, and to the nearest other class."""
    totals, rows = _euclidean_totals(features, codes), np.arange(len(codes))
    own = totals[rows, codes] / np.maximum(counts[codes] - 1, 1)
    totals /= counts
    totals[rows, codes] = np.inf
    return own, totals.min(axis=1)


def _euclidean_totals(
    features: Float[np.ndarray, "n d"], codes: Int64[np.ndarray, "n"]
) -> Float64[np.ndarray, "n classes"]:
    """Summed Euclidean distance of each row to each class; each pair of rows is computed once."""
    n, counts = len(codes), np.bincount(codes)
    place = np.argsort(np.argsort(counts, kind="stable"))  # small classes first, so that they share tiles
    order = np.argsort(place[codes], kind="stable")
    sorted_codes, small = place[codes][order], counts[codes][order] < _SMALL
    left, right = _square_factors(checked(features)[order].astype(np.float64))
    left32, right32 = left.astype(np.float32), right.astype(np.float32)
    square = left[:, -2]
    tiles = list(blocks(n, 1, budget=_TILE))
    inside = [slice(sorted_codes[t.start], sorted_codes[t.stop - 1] + 1) for t in tiles]
    pairs = [(i, j) for i in range(len(tiles)) for j in range(i, len(tiles))]

    def sums(pair: tuple[int, int]) -> tuple[Float[np.ndarray, "a k"], Float[np.ndarray, "b m"]]:
        """Of one tile: the sums of its rows over the classes of its columns, and the other way round."""
        a, b = (tiles[i] for i in pair)
        distance = left32[a] @ right32[b].T
        if a == b:
            np.fill_diagonal(distance, np.inf)
        close = distance.min() < _CLOSE * (square[a].max() + square[b].max())
        if close or small[a.start] or small[b.start]:
            distance = np.maximum(left[a] @ right[b].T, 0)
        if a == b:
            np.fill_diagonal(distance, 0)
        np.sqrt(distance, out=distance)
        return _over_columns(distance, sorted_codes[b]), _over_rows(distance, sorted_codes[a])

    totals = np.zeros((n, len(counts)))
    for (i, j), (of_a, of_b) in zip(pairs, in_threads(sums, pairs), strict=True):
        totals[tiles[i], inside[j]] += of_a
        if i != j:
            totals[tiles[j], inside[i]] += of_b
    result = np.empty_like(totals)
    result[order] = totals
    return result[:, place]


def _over_columns(
    distance: Float[np.ndarray, "a b"], codes: Int64[np.ndarray, "b"]
) -> Float[np.ndarray, "a c"]:
    """The sum of each row over the columns of each class; columns are sorted by class."""
    return np.add.reduceat(distance, np.flatnonzero(np.diff(codes, prepend=-1)), axis=1)


def _over_rows(distance: Float[np.ndarray, "a b"], codes: Int64[np.ndarray, "a"]) -> Float[np.ndarray, "b c"]:
    """The sum of each column over the rows of each class; few rows at a time keep float32 exact enough."""
    starts = np.flatnonzero(np.diff(codes, prepend=-1))
    if len(starts) > len(codes) // _FEW:
        return np.add.reduceat(distance, starts, axis=0).T
    sums = np.zeros((len(starts), distance.shape[1]))
    for of_class, start, stop in zip(sums, starts, [*starts[1:], len(codes)], strict=True):
        for row in range(start, stop, _FEW):
            of_class += distance[row : min(row + _FEW, stop)].sum(axis=0)
    return sums.T


def _square_factors(
    rows: Float64[np.ndarray, "n d"],
) -> tuple[Float64[np.ndarray, "n wide"], Float64[np.ndarray, "n wide"]]:
    """Two tables whose product is the squared distance of every pair, so that one product gives it."""
    rows -= rows.mean(axis=0)
    square = np.einsum("nd,nd->n", rows, rows)[:, None]
    one = np.ones_like(square)
    return np.hstack([rows, square, one]), np.hstack([-2 * rows, one, square])


def _chance(
    features: Float[np.ndarray, "n d"], codes: Int64[np.ndarray, "n"], shuffles: int, seed: int
) -> float | None:
    random = np.random.default_rng(seed)
    scores = [silhouette_samples(features, random.permutation(codes)).mean() for _ in range(shuffles)]
    return float(np.mean(scores)) if scores else None


def _per_class(per_item: Float64[np.ndarray, "n"], classes: Classes) -> dict[str, float]:
    return {name: float(per_item[classes.codes == code].mean()) for code, name in enumerate(classes.names)}
