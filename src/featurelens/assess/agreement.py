"""How alike two representations of the same images are: linear CKA and neighbour agreement."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from featurelens.assess.arrays import blocks, checked
from featurelens.assess.collapse import COLLAPSED, collapsed, same_directions
from featurelens.assess.interval import jackknife_interval, mean_interval
from featurelens.assess.neighbours import nearest
from featurelens.assess.result import Measure, undefined
from featurelens.errors import InvalidInput
from featurelens.shapes import Float, Float64, Int64

GRAM_ROWS = 2000
"""Up to so many images an interval of CKA costs little."""
_Terms = tuple[float, float, float, float, float, float, float, float]


def linear_cka(
    x: Float[np.ndarray, "n d1"],
    y: Float[np.ndarray, "m d2"],
    *,
    debiased: bool = False,
    interval: bool = False,
    seed: int = 0,
) -> Measure:
    """Linear centred kernel alignment of two feature tables of the same images, 0 to 1 (Kornblith 2019).

    Computed from d x d products that are summed block by block, or from the n x n Gram matrices where there
    are fewer images than dimensions. `chance` is the expected value when the images of `y` are shuffled: it
    is far from 0 when n is small next to d; `debiased` removes that (Song et al. 2007, n > 3). Undefined
    when one side does not vary by more than rounding. Raises InvalidInput when the tables differ in length.

    >>> rows = np.random.default_rng(0).standard_normal((50, 5))
    >>> round(linear_cka(rows, rows * 3 + 1).value, 6)
    1.0
    """
    _paired(x, y)
    n = len(x)
    protocol = "linear, centred" + (", debiased" if debiased else "") + "; both on the same images"
    if n < (4 if debiased else 2):
        return undefined("CKA", f"{n} images are too few", n=n, protocol=protocol, better="neither")
    if collapsed(x) or collapsed(y):
        return undefined("CKA", f"of one side {COLLAPSED}", n=n, protocol=protocol, better="neither")
    terms = _terms(x, y)

    again = _of_rows(x, y, debiased)

    _, xx, yy, trace_x, trace_y = terms[:5]
    return Measure(
        "CKA",
        _cka(terms, n, debiased),
        n,
        protocol,
        interval=jackknife_interval(again, n, groups=10, seed=seed) if interval else None,
        chance=0.0 if debiased else float(trace_x * trace_y / (n - 1) / np.sqrt(xx * yy)),
        better="neither",
    )


def _of_rows(
    x: Float[np.ndarray, "n d1"], y: Float[np.ndarray, "n d2"], debiased: bool
) -> Callable[[Int64[np.ndarray, "kept"]], float]:
    """CKA of some of the rows; few images are compared through their Gram matrices, which are made once."""
    if len(x) > GRAM_ROWS:
        return lambda kept: _cka(_terms(x[kept], y[kept]), len(kept), debiased)
    grams: list[Float64[np.ndarray, "n n"]] = []

    def cka(kept: Int64[np.ndarray, "kept"]) -> float:
        if not grams:
            centred = (rows - rows.mean(axis=0, dtype=np.float64) for rows in (x, y))
            grams.extend(rows @ rows.T for rows in centred)
        inner = []
        for gram in grams:
            part = gram[np.ix_(kept, kept)]
            mean = part.mean(axis=0)
            inner.append(part - mean - mean[:, None] + mean.mean())
        return _cka(_gram_terms(*inner), len(kept), debiased)

    return cka


def _gram_terms(k: Float64[np.ndarray, "n n"], m: Float64[np.ndarray, "n n"]) -> _Terms:
    a, b = np.diag(k), np.diag(m)
    cross, self_x, self_y = np.vdot(k, m), np.vdot(k, k), np.vdot(m, m)
    sums = (cross, self_x, self_y, a.sum(), b.sum(), a @ b, a @ a, b @ b)
    return tuple(float(v) for v in sums)  # pyright: ignore[reportReturnType]


def _terms(x: Float[np.ndarray, "n d1"], y: Float[np.ndarray, "n d2"]) -> _Terms:
    """Sums over the centred kernels K, L: <K,L>, <K,K>, <L,L>, tr K, tr L, and sums over their diagonals."""
    n = len(x)
    mean_x, mean_y = x.mean(axis=0, dtype=np.float64), y.mean(axis=0, dtype=np.float64)
    narrow = max(x.shape[1], y.shape[1]) <= n
    parts = list(blocks(n, 8 * (x.shape[1] + y.shape[1])))
    diagonal_x, diagonal_y = np.empty(n), np.empty(n)
    if narrow:
        xy = np.zeros((x.shape[1], y.shape[1]))
        xx = np.zeros((x.shape[1], x.shape[1]))
        yy = np.zeros((y.shape[1], y.shape[1]))
        for part in parts:
            a, b = x[part] - mean_x, y[part] - mean_y
            xy += a.T @ b
            xx += a.T @ a
            yy += b.T @ b
            diagonal_x[part] = np.einsum("nd,nd->n", a, a)
            diagonal_y[part] = np.einsum("nd,nd->n", b, b)
        cross, self_x, self_y = (xy**2).sum(), (xx**2).sum(), (yy**2).sum()
    else:
        a, b = x - mean_x, y - mean_y
        return _gram_terms(a @ a.T, b @ b.T)
    return (
        float(cross),
        float(self_x),
        float(self_y),
        float(diagonal_x.sum()),
        float(diagonal_y.sum()),
        float(diagonal_x @ diagonal_y),
        float(diagonal_x @ diagonal_x),
        float(diagonal_y @ diagonal_y),
    )


def _cka(terms: _Terms, n: int, debiased: bool) -> float:
    cross, xx, yy, tx, ty, dxy, dxx, dyy = terms
    if not debiased:
        return float(cross / np.sqrt(xx * yy))

    def hsic(inner: float, diagonal: float, trace_a: float, trace_b: float) -> float:
        """Song's unbiased HSIC (times n(n-3)) of centred kernels, whose rows sum to zero."""
        total = trace_a * trace_b / ((n - 1) * (n - 2))
        return inner - diagonal + total - 2 / (n - 2) * diagonal

    return float(hsic(cross, dxy, tx, ty) / np.sqrt(hsic(xx, dxx, tx, tx) * hsic(yy, dyy, ty, ty)))


def neighbour_agreement(
    x: Float[np.ndarray, "n d1"], y: Float[np.ndarray, "m d2"], *, k: int = 10, seed: int = 0
) -> Measure:
    """The share of each image's k nearest neighbours that both representations have in common.

    1: both would answer every search alike; chance is k / (n - 1). Undefined for n <= k, or where one side does not vary
    by more than rounding.
    """
    _paired(x, y)
    n = len(x)
    protocol = f"overlap of the {k} nearest neighbours by cosine; interval by bootstrap over images"
    name = "neighbour agreement"
    if n <= k:
        return undefined(
            name, f"k = {k} needs more than {k} images", n=n, protocol=protocol, better="neither"
        )
    if same_directions(x) or same_directions(y):
        return undefined(name, f"of one side {COLLAPSED}", n=n, protocol=protocol, better="neither")
    shared = overlap(nearest(x, k=k)[0], nearest(y, k=k)[0])
    return Measure(
        name,
        float(shared.mean()),
        n,
        protocol,
        interval=mean_interval(shared, seed=seed),
        chance=k / (n - 1),
        better="neither",
        per_item=shared,
    )


def overlap(a: Int64[np.ndarray, "n k"], b: Int64[np.ndarray, "n k"]) -> Float[np.ndarray, "n"]:
    """The share of row i of `a` that also stands in row i of `b`; no row repeats an entry."""
    merged = np.sort(np.concatenate([a, b], axis=1), axis=1)
    return (merged[:, 1:] == merged[:, :-1]).sum(axis=1) / a.shape[1]


def _paired(x: Float[np.ndarray, "n d1"], y: Float[np.ndarray, "m d2"]) -> None:
    checked(x, name="x")
    checked(y, name="y")
    if len(x) != len(y):
        raise InvalidInput(
            f"Both tables must hold the same images in the same order; there are {len(x)} and {len(y)} rows."
        )
