"""The shape of the cloud of features: alignment, uniformity, intrinsic dimension, hubness."""

from __future__ import annotations

import numpy as np

from featurelens.assess.arrays import Labels, blocks, checked, encode, unit
from featurelens.assess.collapse import COLLAPSED, same_directions
from featurelens.assess.interval import jackknife_interval
from featurelens.assess.neighbours import nearest
from featurelens.assess.result import Measure, undefined
from featurelens.shapes import Float, Int64

_CANDIDATES = 10
"""Neighbours whose distances are computed again in float64; float32 cosines may swap very close ones."""


def alignment(features: Float[np.ndarray, "n d"], labels: Labels, *, seed: int = 0) -> Measure:
    """Mean squared distance of the unit vectors of two images of one class (Wang & Isola 2020).

    `labels` say which rows belong together: classes, or one number per image when the rows are augmented
    views. Chance is the same mean over all pairs. Undefined when no class has two images.
    """
    classes = encode(labels, len(features))
    known = classes.known
    rows, codes = unit(features[known]), classes.codes[known]
    n = len(codes)
    protocol = "mean squared distance over pairs of one class, unit vectors; interval by grouped jackknife"
    if not n or classes.counts.max() < 2:
        return undefined("alignment", "no class has two images", n=n, protocol=protocol, better="lower")

    def mean(kept: Int64[np.ndarray, "kept"]) -> float:
        return _squared(rows[kept], codes[kept])

    return Measure(
        "alignment",
        _squared(rows, codes),
        n,
        protocol,
        interval=jackknife_interval(mean, n, seed=seed),
        chance=_squared(rows, np.zeros_like(codes)),
        better="lower",
    )


def _squared(rows: Float[np.ndarray, "n d"], codes: Int64[np.ndarray, "n"]) -> float:
    square = np.einsum("nd,nd->n", rows, rows)
    total, pairs = 0.0, 0
    for code in np.unique(codes):
        own = codes == code
        size, sums = int(own.sum()), rows[own].sum(axis=0)
        total += 2 * size * float(square[own].sum()) - 2 * float(sums @ sums)
        pairs += size * (size - 1)
    return max(total / pairs, 0.0) if pairs else float("nan")


def uniformity(features: Float[np.ndarray, "n d"], *, t: float = 2.0) -> Measure:
    """Log of the mean Gaussian potential of all pairs of unit vectors (Wang & Isola 2020).

    0 when all rows coincide, towards -2t when they spread evenly over the sphere: lower uses more of the
    space. Undefined for fewer than two rows.
    """
    n = len(features)
    protocol = (
        f"log mean exp(-{t:g} squared distance) over all pairs of unit vectors; interval by delta method"
    )
    if n < 2:
        return undefined("uniformity", "it needs two images", n=n, protocol=protocol, better="lower")
    rows = unit(features)
    square = np.einsum("nd,nd->n", rows, rows)
    potential = np.empty(n)
    for part in blocks(n, 8 * n):
        distance = square[part, None] + square - 2 * (rows[part] @ rows.T)
        potential[part] = (np.exp(-t * np.maximum(distance, 0)).sum(axis=1) - 1) / (n - 1)
    value = float(potential.mean())
    half = 1.959964 * 2 * float(potential.std(ddof=1)) / np.sqrt(n) / value
    return Measure(
        "uniformity",
        float(np.log(value)),
        n,
        protocol,
        interval=(float(np.log(value)) - half, float(np.log(value)) + half),
        better="lower",
    )


def intrinsic_dimension(features: Float[np.ndarray, "n d"]) -> Measure:
    """How many directions the data really varies in: TwoNN (Facco et al. 2017), maximum likelihood.

    From the ratio of each row's distances to its second and first neighbour (Euclidean, on unit vectors).
    Copies (distance 0) are left out and counted. Undefined with fewer than three distinct rows.
    """
    n = checked(features).shape[0]
    protocol = "TwoNN maximum likelihood on unit vectors; interval from the exponential law of log ratios"
    if n < 3:
        reason = "it needs three images"
        return undefined("intrinsic dimension", reason, n=n, protocol=protocol, better="neither")
    if same_directions(features):
        return undefined("intrinsic dimension", COLLAPSED, n=n, protocol=protocol, better="neither")
    rows = unit(features)
    indices, _ = nearest(rows, k=min(_CANDIDATES, n - 1))
    distances = np.empty(indices.shape)
    for column in range(indices.shape[1]):
        distances[:, column] = np.sqrt(((rows - rows[indices[:, column]]) ** 2).sum(axis=1))
    distances.sort(axis=1)
    first, second = distances[:, 0], distances[:, 1]
    good = first > 1e-9
    logs = np.log(second[good] / first[good])
    used = len(logs)
    if used < 3 or logs.sum() == 0:
        reason = f"only {used} images have two neighbours at different distances above zero"
        return undefined("intrinsic dimension", reason, n=used, protocol=protocol, better="neither")
    value = float((used - 1) / logs.sum())
    half = 1.959964 / np.sqrt(used)
    return Measure(
        "intrinsic dimension",
        value,
        used,
        protocol,
        interval=(value * (1 - half), value * (1 + half)),
        better="neither",
        detail={"copies": int(n - used)},
    )


def hubness(features: Float[np.ndarray, "n d"], *, k: int = 10, seed: int = 0) -> Measure:
    """Skewness of how often each image is among the k nearest of others (Radovanovic et al. 2010).

    Near 0 every image is found about equally often; above 1 a few hubs turn up in most searches.
    `detail` names the strongest hubs and the share of images that no search ever finds.
    """
    n = len(features)
    protocol = f"skewness of k-occurrence, k = {k}, cosine; interval by grouped jackknife of the counts"
    if n <= k:
        reason = f"k = {k} needs more than {k} images"
        return undefined("hubness", reason, n=n, protocol=protocol, better="lower")
    if same_directions(features):
        return undefined("hubness", COLLAPSED, n=n, protocol=protocol, better="lower")
    indices, _ = nearest(features, k=k)
    counts = np.bincount(indices.ravel(), minlength=n)
    if counts.std() == 0:
        return Measure("hubness", 0.0, n, protocol, better="lower", detail={"never_found": 0.0})

    def skew(kept: Int64[np.ndarray, "kept"]) -> float:
        part = counts[kept] - counts[kept].mean()
        variance = (part**2).mean()
        return float((part**3).mean() / variance**1.5) if variance > 0 else 0.0

    strongest = np.argsort(-counts, kind="stable")[:10]
    return Measure(
        "hubness",
        skew(np.arange(n, dtype=np.int64)),
        n,
        protocol,
        interval=jackknife_interval(skew, n, seed=seed),
        chance=0.0,
        better="lower",
        detail={
            "hubs": [{"row": int(i), "found_by": int(counts[i])} for i in strongest],
            "never_found": float((counts == 0).mean()),
        },
    )
