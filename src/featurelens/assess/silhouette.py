"""Silhouette: is every image closer to its own class than to the nearest other one?"""

from __future__ import annotations

from typing import Literal

import numpy as np

from featurelens.assess.arrays import Classes, Labels, blocks, checked, encode
from featurelens.assess.interval import mean_interval
from featurelens.assess.result import Measure, undefined
from featurelens.shapes import Float, Float64, Int64

Metric = Literal["cosine", "euclidean"]
_TILE = 1024
_CLOSE = 0.1
"""Tiles with a squared distance below this share of the squared lengths are computed in float64: there the
difference of large numbers would cost float32 its digits."""


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
    per_item = np.full(len(features), np.nan)
    per_item[known] = silhouette_samples(features[known], classes.codes[known], metric=metric)
    return Measure(
        f"silhouette ({metric})",
        float(np.nanmean(per_item)),
        n=n,
        protocol=protocol + "; interval by bootstrap over images",
        interval=mean_interval(per_item, seed=seed),
        chance=_chance(features[known], classes.codes[known], shuffles, seed) if metric == "cosine" else 0.0,
        detail={"per_class": _per_class(per_item, classes), "unlabelled": len(features) - n},
        per_item=per_item,
    )


def silhouette_samples(
    features: Float[np.ndarray, "n d"], codes: Int64[np.ndarray, "n"], *, metric: Metric = "cosine"
) -> Float64[np.ndarray, "n"]:
    """The silhouette of each row, for class codes 0, 1, 2, ... that are all in use."""
    counts = np.bincount(codes)
    totals = _cosine_totals(features, codes) if metric == "cosine" else _euclidean_totals(features, codes)
    rows = np.arange(len(codes))
    own = totals[rows, codes] / np.maximum(counts[codes] - 1, 1)
    totals /= counts
    totals[rows, codes] = np.inf
    other = totals.min(axis=1)
    wider = np.maximum(own, other)
    score = np.divide(other - own, wider, out=np.zeros_like(own), where=wider > 0)
    score[counts[codes] == 1] = 0
    return score


def _cosine_totals(
    features: Float[np.ndarray, "n d"], codes: Int64[np.ndarray, "n"]
) -> Float64[np.ndarray, "n classes"]:
    """Summed cosine distance of each row to each class: size minus the product with the class's sum."""
    n, counts = len(codes), np.bincount(codes)
    checked(features)
    inverse = np.zeros(n)
    sums = np.zeros((len(counts), features.shape[1]))
    parts = list(blocks(n, 8 * features.shape[1]))
    for part in parts:
        rows = features[part].astype(np.float64)
        length = np.sqrt(np.einsum("nd,nd->n", rows, rows))
        inverse[part] = np.divide(1, length, out=np.zeros(len(rows)), where=length > 0)
        order = np.argsort(codes[part], kind="stable")
        present, first = np.unique(codes[part][order], return_index=True)
        for code, members in zip(present, np.split(order, first[1:]), strict=True):
            sums[code] += inverse[part][members] @ rows[members]
    totals = np.concatenate([features[part].astype(np.float64) @ -sums.T for part in parts])
    totals *= inverse[:, None]
    totals += counts
    totals[np.arange(n), codes] -= inverse == 0
    return np.maximum(totals, 0, out=totals)


def _euclidean_totals(
    features: Float[np.ndarray, "n d"], codes: Int64[np.ndarray, "n"]
) -> Float64[np.ndarray, "n classes"]:
    """Summed Euclidean distance of each row to each class; each pair of rows is computed once."""
    n, count = len(codes), int(codes.max()) + 1
    order = np.argsort(codes, kind="stable")
    sorted_codes = codes[order]
    member = np.eye(count, dtype=np.float32)[sorted_codes]
    left, right = _square_factors(checked(features)[order].astype(np.float64))
    left32, right32 = left.astype(np.float32), right.astype(np.float32)
    square = left[:, -2]
    totals = np.zeros((n, count))
    tiles = list(blocks(n, 1, budget=_TILE))
    for at, a in enumerate(tiles):
        classes_a = slice(sorted_codes[a.start], sorted_codes[a.stop - 1] + 1)
        for b in tiles[at:]:
            classes_b = slice(sorted_codes[b.start], sorted_codes[b.stop - 1] + 1)
            distance = left32[a] @ right32[b].T
            if a == b or distance.min() < _CLOSE * (square[a].max() + square[b].max()):
                distance = np.maximum(left[a] @ right[b].T, 0)
            if a == b:
                np.fill_diagonal(distance, 0)
            np.sqrt(distance, out=distance)
            totals[a, classes_b] += distance @ member[b, classes_b]
            if a != b:
                totals[b, classes_a] += distance.T @ member[a, classes_a]
    result = np.empty_like(totals)
    result[order] = totals
    return result


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
