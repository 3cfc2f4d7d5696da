"""Quality without labels from the singular values: RankMe and alpha-ReQ."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from featurelens.assess.arrays import blocks, checked
from featurelens.assess.collapse import COLLAPSED, collapsed
from featurelens.assess.interval import jackknife_interval
from featurelens.assess.result import Measure, undefined
from featurelens.shapes import Float, Float64, Int64

EPSILON = 1e-7


def singular_values(features: Float[np.ndarray, "n d"]) -> Float64[np.ndarray, "k"]:
    """Singular values in float64, largest first; long tables are reduced block by block with QR."""
    n, d = checked(features).shape
    if n <= 2 * d:
        return np.linalg.svd(features.astype(np.float64), compute_uv=False)
    triangle = np.zeros((0, d))
    for part in blocks(n, 8 * d, budget=max(8 * d * d, 16 * 2**20)):
        stacked = np.concatenate([triangle, features[part].astype(np.float64)])
        triangle = np.linalg.qr(stacked, mode="r")
    return np.linalg.svd(triangle, compute_uv=False)


def rankme(features: Float[np.ndarray, "n d"], *, interval: bool = True, seed: int = 0) -> Measure:
    """The effective number of dimensions in use: exp of the entropy of the singular values.

    Garrido et al. 2023 (ICML), with their epsilon 1e-7 and no centring, in float64. The scale runs from 1
    to min(n, d); more than a few thousand rows are needed before it stops growing with n, so compare
    backbones only on the same images. Undefined when all features are zero.

    >>> round(rankme(np.eye(4)).value, 5)
    4.0
    """
    n, d = checked(features).shape
    protocol = "exp entropy of singular values, epsilon 1e-7, not centred; interval by grouped jackknife"
    values = singular_values(features)
    if values.sum() == 0:
        return undefined("RankMe", "all features are zero", n=n, protocol=protocol)

    spread = jackknife_interval(_rank_of_rows(features), n, groups=10, seed=seed) if interval else None
    detail = {"largest_possible": min(n, d), "share": _effective_rank(values) / min(n, d)}
    detail["collapsed"] = collapsed(features)
    return Measure("RankMe", round(_effective_rank(values), 10), n, protocol, spread, detail=detail)


def _rank_of_rows(features: Float[np.ndarray, "n d"]) -> Callable[[Int64[np.ndarray, "kept"]], float]:
    """RankMe of some of the rows through the smaller Gram matrix: 1e-6 is enough for an interval."""
    rows = features.astype(np.float64)
    gram = rows @ rows.T if len(rows) <= rows.shape[1] else rows.T @ rows

    def rank(kept: Int64[np.ndarray, "kept"]) -> float:
        if len(rows) <= rows.shape[1]:
            inner = gram[np.ix_(kept, kept)]
        else:
            gone = np.delete(rows, kept, axis=0)
            inner = gram - gone.T @ gone
        return _effective_rank(np.sqrt(np.maximum(np.linalg.eigvalsh(inner), 0)))

    return rank


def _effective_rank(values: Float64[np.ndarray, "k"]) -> float:
    share = values / values.sum() + EPSILON
    return float(np.exp(-(share * np.log(share)).sum()))


def alpha_req(features: Float[np.ndarray, "n d"], *, first: int = 3, last: int = 100) -> Measure:
    """How fast the covariance's eigenvalues fall, as a power of their rank; about 1 is the sweet spot.

    Agrawal et al. 2022 (NeurIPS), fitted as Stringer et al. 2019 do: least squares on log eigenvalue against
    log rank, weighted by 1 / rank, over the ranks after `first` up to `last`. Well above 1 the features
    collapse onto few directions; well below 1 they are close to noise. The interval is that of the
    regression. Undefined for features that do not vary by more than rounding, and with fewer than five usable eigenvalues.
    """
    n, _ = checked(features).shape
    protocol = f"weighted log-log fit of covariance eigenvalues, ranks {first + 1} to {last}"
    if n < 2:
        return undefined("alpha-ReQ", "it needs two images", n=n, protocol=protocol, better="neither")
    if collapsed(features):
        return undefined("alpha-ReQ", COLLAPSED, n=n, protocol=protocol, better="neither")
    centred = features.astype(np.float64)
    centred -= centred.mean(axis=0)
    eigenvalues = singular_values(centred) ** 2 / max(n - 1, 1)
    top = eigenvalues[0] if len(eigenvalues) else 0.0
    usable = eigenvalues[first:last]
    usable = usable[usable > 1e-12 * top]
    if len(usable) < 5:
        reason = f"only {len(usable)} eigenvalues lie between ranks {first + 1} and {last}; five are needed"
        return undefined("alpha-ReQ", reason, n=n, protocol=protocol, better="neither")
    rank = np.arange(first + 1, first + 1 + len(usable))
    x, y, weight = np.log(rank), np.log(usable), 1 / rank
    centre = np.average(x, weights=weight)
    spread = (weight * (x - centre) ** 2).sum()
    slope = float((weight * (x - centre) * y).sum() / spread)
    residual = y - np.average(y, weights=weight) - slope * (x - centre)
    error = float(np.sqrt((weight * residual**2).sum() / (len(x) - 2) / spread))
    return Measure(
        "alpha-ReQ",
        -slope,
        n,
        protocol,
        interval=(-slope - 1.959964 * error, -slope + 1.959964 * error),
        better="neither",
        detail={"eigenvalues": eigenvalues[:200].tolist(), "distance_from_1": abs(-slope - 1)},
    )
