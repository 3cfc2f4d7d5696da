"""The shift between two sets of features, from one Gram matrix of all their rows: MMD, CORAL distance, CKA."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from featurelens.assess.arrays import checked
from featurelens.assess.collapse import COLLAPSED, collapsed
from featurelens.assess.interval import jackknife_interval
from featurelens.assess.result import Better, Measure, undefined
from featurelens.errors import InvalidInput
from featurelens.shapes import Bool, Float, Float64, Int64

MOST = 1000
"""Rows of each set that take part; more are drawn by the seed."""
WIDTHS = (0.25, 0.5, 1.0, 2.0, 4.0)
"""Kernel widths, times the median squared distance of all rows (Gretton et al. 2012)."""
SHUFFLES = 50
Statistic = Callable[[Float64[np.ndarray, "n n"], Bool[np.ndarray, "n"]], float]


def mmd(x: Float[np.ndarray, "n d1"], y: Float[np.ndarray, "m d2"], *, seed: int = 0) -> Measure:
    """Squared maximum mean discrepancy, unbiased, mean over RBF kernels of five widths (Gretton et al. 2012).

    0: the same distribution, as far as these kernels see; it may come out a little below. `chance` is its mean when
    rows are dealt out to the two sets at random, `detail["p"]` how often such a deal reaches the value. Undefined
    below four rows a side. Raises InvalidInput for tables of different width.

    >>> random = np.random.default_rng(0)
    >>> x = random.normal(size=(100, 4))
    >>> mmd(x, x[::-1] + 1.0).value > 0.1 > abs(mmd(x[:50], x[50:]).value)
    True
    """
    widths = ", ".join(f"{w:g}" for w in WIDTHS)
    protocol = f"unbiased, mean over RBF kernels of {widths} times the median squared distance"
    return _measured("MMD²", x, y, _kernel, _mmd, protocol, "lower", seed)


def coral_distance(
    x: Float[np.ndarray, "n d1"], y: Float[np.ndarray, "m d2"], *, relative: bool = False, seed: int = 0
) -> Measure:
    """Squared Frobenius distance of both covariances, over 4 d² (Sun & Saenko 2016).

    `relative`: over the sum of both squared norms instead, so that it lies between 0 (equal) and 1 (nothing in
    common) for features of any length. Few rows make it larger: compare with `chance`, of rows dealt out at random.

    >>> x = np.random.default_rng(0).normal(size=(100, 4))
    >>> round(coral_distance(x, 2 * x, relative=True).value, 3)  # (1 - 4)² / (1 + 16)
    0.529
    """
    dim = checked(x, name="x").shape[1]

    def statistic(gram: Float64[np.ndarray, "n n"], first: Bool[np.ndarray, "n"]) -> float:
        xx, yy, xy = _norms(gram, first)
        return (xx + yy - 2 * xy) / (xx + yy if relative else 4 * dim**2)

    name = "CORAL distance (relative)" if relative else "CORAL distance"
    over = "the sum of both squared norms" if relative else "4 d²"
    protocol = f"squared Frobenius distance of the covariances, over {over}"
    return _measured(name, x, y, _inner, statistic, protocol, "lower", seed)


def shift_cka(x: Float[np.ndarray, "n d1"], y: Float[np.ndarray, "m d2"], *, seed: int = 0) -> Measure:
    """Linear CKA of two sets of images in one feature space: do the same dimensions go together in both? 0 to 1.

    CKA compares things that are paired; of two sets of different images these are the dimensions. (Where the images
    themselves are paired, `linear_cka` compares these.) Kornblith et al. 2019.

    >>> x = np.random.default_rng(0).normal(size=(100, 4))
    >>> round(shift_cka(x, 3 * x + 1).value, 6)
    1.0
    """

    def statistic(gram: Float64[np.ndarray, "n n"], first: Bool[np.ndarray, "n"]) -> float:
        xx, yy, xy = _norms(gram, first)
        return xy / np.sqrt(xx * yy)

    protocol = "linear CKA over dimensions, images centred within each set"
    return _measured("CKA over dimensions", x, y, _inner_of_dims, statistic, protocol, "higher", seed)


def _measured(
    name: str, x: Float[np.ndarray, "n d1"], y: Float[np.ndarray, "m d2"],
    kernel: Callable[[Float64[np.ndarray, "k d"]], Float64[np.ndarray, "k k"]], statistic: Statistic,
    protocol: str, better: Better, seed: int,
) -> Measure:  # fmt: skip
    check_pair(x, y)
    random = np.random.default_rng(seed)
    parts = [rows[np.sort(random.permutation(len(rows))[:MOST])].astype(np.float64) for rows in (x, y)]
    n = sum(map(len, parts))
    if min(map(len, parts)) < 4:
        return undefined(name, "each side needs four images or more", n=n, protocol=protocol, better=better)
    if collapsed(x) or collapsed(y):
        return undefined(name, f"of one side {COLLAPSED}", n=n, protocol=protocol, better=better)
    gram = kernel(np.concatenate(parts))
    first = np.arange(n) < len(parts[0])
    value = float(statistic(gram, first))

    def again(kept: Int64[np.ndarray, "kept"]) -> float:
        return statistic(gram[np.ix_(kept, kept)], first[kept])

    dealt = np.array([statistic(gram, random.permutation(first)) for _ in range(SHUFFLES)])
    reached = dealt >= value if better == "lower" else dealt <= value
    return Measure(
        name,
        value,
        n,
        f"{protocol}; {len(parts[0])} against {len(parts[1])} images; interval by jackknife over 20 groups, chance "
        f"by {SHUFFLES} random deals",
        interval=jackknife_interval(again, n, seed=seed),
        chance=float(dealt.mean()),
        better=better,
        detail={"p": float((1 + reached.sum()) / (1 + SHUFFLES))},
    )


def check_pair(x: Float[np.ndarray, "n d1"], y: Float[np.ndarray, "m d2"]) -> None:
    """InvalidInput unless both are tables of finite numbers of one width."""
    checked(x, name="x")
    checked(y, name="y")
    if x.shape[1] != y.shape[1]:
        raise InvalidInput(
            f"Both sets must come from one backbone; their rows have {x.shape[1]} and {y.shape[1]} numbers."
        )


def _kernel(rows: Float64[np.ndarray, "n d"]) -> Float64[np.ndarray, "n n"]:
    inner = rows @ rows.T
    lengths = np.diag(inner)
    squared = np.maximum(lengths[:, None] + lengths - 2 * inner, 0)
    median = float(np.median(squared[np.triu_indices(len(rows), 1)])) or 1.0
    return sum((np.exp(-squared / (w * median)) for w in WIDTHS), np.zeros_like(squared)) / len(WIDTHS)


def _inner(rows: Float64[np.ndarray, "n d"]) -> Float64[np.ndarray, "n n"]:
    return rows @ rows.T


def _inner_of_dims(rows: Float64[np.ndarray, "n d"]) -> Float64[np.ndarray, "n n"]:
    rows = rows - rows.mean(axis=1, keepdims=True)
    return rows @ rows.T


def _mmd(gram: Float64[np.ndarray, "n n"], first: Bool[np.ndarray, "n"]) -> float:
    n, m = int(first.sum()), int((~first).sum())
    sides = first.astype(np.float64)
    to_first, diagonal = gram @ sides, np.diag(gram)
    xx, own = float(to_first @ sides), float(diagonal[first].sum())
    xy = float(to_first.sum()) - xx
    yy = float(gram.sum()) - xx - 2 * xy
    rest = float(diagonal.sum()) - own
    return (xx - own) / (n * (n - 1)) + (yy - rest) / (m * (m - 1)) - 2 * xy / (n * m)


def _norms(gram: Float64[np.ndarray, "n n"], first: Bool[np.ndarray, "n"]) -> tuple[float, float, float]:
    """Squared norms of both covariances and their inner product, from the inner products of all rows."""

    def centred(a: Bool[np.ndarray, "n"], b: Bool[np.ndarray, "n"]) -> float:
        part = gram[np.ix_(a, b)]
        part = part - part.mean(axis=0) - part.mean(axis=1)[:, None] + part.mean()
        return float(np.vdot(part, part)) / ((a.sum() - 1) * (b.sum() - 1))

    return centred(first, first), centred(~first, ~first), centred(first, ~first)
