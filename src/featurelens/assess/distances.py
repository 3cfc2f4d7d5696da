"""Distances within and between classes."""

from __future__ import annotations

import numpy as np

from featurelens.assess.arrays import Labels, encode, unit
from featurelens.assess.collapse import COLLAPSED, same_directions
from featurelens.assess.interval import jackknife_interval
from featurelens.assess.result import Measure, undefined
from featurelens.shapes import Float, Float64, Int64

_PROTOCOL = "mean cosine distance over all pairs of images; interval by grouped jackknife"


def class_distances(features: Float[np.ndarray, "n d"], labels: Labels, *, seed: int = 0) -> Measure:
    """Mean cosine distance within classes over that between classes: below 1 when classes hold together.

    Every pair counts once, through class sums, so the cost is linear in n. `detail` has the two means and,
    per class, its own mean distance, that to all other classes, and the nearest other class. Undefined
    without two classes, or when no class has two images.

    >>> rows = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    >>> class_distances(rows, ["a", "a", "b", "b"]).value
    0.0
    """
    classes = encode(labels, len(features))
    known = classes.known
    n, counts = int(known.sum()), classes.counts
    name = "intra / inter distance"
    if len(counts) < 2 or counts.max() < 2:
        reason = (
            f"it needs two classes, and one with two images; there are {len(counts)} classes for {n} images"
        )
        return undefined(name, reason, n=n, protocol=_PROTOCOL, better="lower")
    rows, codes = unit(features[known]), classes.codes[known]

    def ratio(kept: Int64[np.ndarray, "kept"]) -> float:
        within, between, _, _ = _means(rows[kept], codes[kept], len(counts))
        return within / between if between > 0 else float("nan")

    within, between, own, across = _means(rows, codes, len(counts))
    if same_directions(features[known]):
        return undefined(name, COLLAPSED, n=n, protocol=_PROTOCOL, better="lower")
    others = np.where(np.eye(len(counts), dtype=bool), np.inf, across)
    per_class = {
        label: {
            "intra": float(own[c]),
            "inter": float(
                (others[c][np.isfinite(others[c])] * np.delete(counts, c)).sum() / (n - counts[c])
            ),
            "nearest": classes.names[int(others[c].argmin())],
            "nearest_distance": float(others[c].min()),
        }
        for c, label in enumerate(classes.names)
    }
    return Measure(
        name,
        within / between,
        n=n,
        protocol=_PROTOCOL,
        interval=jackknife_interval(ratio, n, seed=seed),
        chance=1.0,
        better="lower",
        detail={"intra": within, "inter": between, "per_class": per_class, "unlabelled": len(features) - n},
    )


def _means(
    rows: Float64[np.ndarray, "n d"], codes: Int64[np.ndarray, "n"], count: int
) -> tuple[float, float, Float64[np.ndarray, "c"], Float64[np.ndarray, "c c"]]:
    """Mean distance within, between, within each class, and between each pair of classes."""
    sizes = np.bincount(codes, minlength=count).astype(np.float64)
    sums = np.stack([rows[codes == c].sum(axis=0) for c in range(count)])
    itself = np.bincount(codes, weights=np.einsum("nd,nd->n", rows, rows), minlength=count)
    products = sums @ sums.T
    own_pairs = sizes * (sizes - 1)
    own_total = own_pairs - (np.diag(products) - itself)
    all_pairs = np.outer(sizes, sizes)
    cross_total = all_pairs - products
    np.fill_diagonal(cross_total, 0)
    cross_pairs = all_pairs.copy()
    np.fill_diagonal(cross_pairs, 0)
    own = np.divide(own_total, own_pairs, out=np.full(count, np.nan), where=own_pairs > 0)
    across = np.divide(cross_total, cross_pairs, out=np.zeros_like(products), where=cross_pairs > 0)
    within = own_total.sum() / own_pairs.sum() if own_pairs.sum() else float("nan")
    between = cross_total.sum() / cross_pairs.sum() if cross_pairs.sum() else float("nan")
    return max(float(within), 0.0), float(between), np.maximum(own, 0), across
