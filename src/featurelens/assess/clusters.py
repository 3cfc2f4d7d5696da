"""The groups that features form by themselves, found by HDBSCAN."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from featurelens.assess.arrays import Labels, encode, unit
from featurelens.assess.collapse import COLLAPSED, same_directions
from featurelens.assess.result import Measure, undefined
from featurelens.assess.spectrum import singular_values
from featurelens.errors import MissingExtra
from featurelens.shapes import Float, Float64


@dataclass(frozen=True)
class Cluster:
    """One group: its rows, most central first, and what share of them has the commonest label."""

    rows: tuple[int, ...]
    label: str | None
    purity: float | None


def clusters(
    features: Float[np.ndarray, "n d"],
    labels: Labels | None = None,
    *,
    smallest: int = 5,
    dimensions: int = 20,
) -> tuple[Measure, list[Cluster]]:
    """How many clusters there are, and which images form them, largest first.

    HDBSCAN (Campello et al. 2013, scikit-learn's) with leaf selection on unit vectors projected to
    `dimensions` principal components. `detail` has the share of images outside every cluster and, with
    labels, the purity. Undefined for fewer than twice `smallest` images. Raises MissingExtra without
    scikit-learn.
    """
    n = len(features)
    protocol = f"HDBSCAN, at least {smallest} images, leaf selection, on {dimensions} principal components"
    if n < 2 * smallest:
        reason = f"{n} images are too few for clusters of {smallest}"
        return undefined("clusters", reason, n=n, protocol=protocol, better="neither"), []
    if same_directions(features):
        return undefined("clusters", COLLAPSED, n=n, protocol=protocol, better="neither"), []
    try:
        from sklearn.cluster import HDBSCAN
    except ImportError as error:
        raise MissingExtra("scikit-learn", "lab", "Finding clusters") from error
    rows = principal_components(features, dimensions)
    found = HDBSCAN(min_cluster_size=smallest, cluster_selection_method="leaf", copy=True).fit_predict(rows)  # pyright: ignore[reportArgumentType]
    classes = None if labels is None else encode(labels, n)
    groups = []
    for number in range(int(found.max()) + 1):
        members = np.flatnonzero(found == number)
        distance = ((rows[members] - rows[members].mean(axis=0)) ** 2).sum(axis=1)
        members = members[np.argsort(distance, kind="stable")]
        label, purity = None, None
        if classes is not None and (known := classes.codes[members][classes.codes[members] >= 0]).size:
            commonest = np.bincount(known).argmax()
            label, purity = classes.names[commonest], float((known == commonest).mean())
        groups.append(Cluster(tuple(members.tolist()), label, purity))
    groups.sort(key=lambda group: (-len(group.rows), group.rows))
    inside = sum(len(group.rows) for group in groups)
    pure = [(group.purity, len(group.rows)) for group in groups if group.purity is not None]
    measure = Measure(
        "clusters",
        float(len(groups)),
        n,
        protocol,
        better="neither",
        detail={
            "outside": float(1 - inside / n),
            "purity": sum(p * size for p, size in pure) / sum(s for _, s in pure) if pure else None,
            "sizes": [len(group.rows) for group in groups],
        },
    )
    return measure, groups


def principal_components(features: Float[np.ndarray, "n d"], dimensions: int) -> Float64[np.ndarray, "n k"]:
    """Centred unit vectors along their directions of largest variance; signs are fixed (largest entry > 0)."""
    rows = unit(features)
    rows -= rows.mean(axis=0)
    n, d = rows.shape
    if n >= d:
        _, vectors = np.linalg.eigh(rows.T @ rows)
        directions = vectors[:, ::-1][:, :dimensions].T
    else:
        directions = np.linalg.svd(rows, full_matrices=False)[2][:dimensions]
    largest = directions[np.arange(len(directions)), np.abs(directions).argmax(axis=1)]
    return rows @ (directions * np.sign(largest)[:, None]).T


def explained(features: Float[np.ndarray, "n d"]) -> Float64[np.ndarray, "k"]:
    """The share of the variance of the unit vectors along each principal component."""
    rows = unit(features)
    power = singular_values(rows - rows.mean(axis=0)) ** 2
    return power / power.sum() if power.sum() > 0 else power
