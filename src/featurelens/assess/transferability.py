"""LogME: how likely the labels are under a linear model on these features."""

from __future__ import annotations

import numpy as np

from featurelens.assess.arrays import Labels, blocks, checked, encode
from featurelens.assess.interval import mean_interval
from featurelens.assess.result import Measure, undefined
from featurelens.shapes import Float, Float64

HINT = "only a hint: it ranks backbones roughly and its scale means nothing; a probe is the real test"


def logme(features: Float[np.ndarray, "n d"], labels: Labels, *, shuffles: int = 3, seed: int = 0) -> Measure:
    """The maximal log evidence of the labels per image, averaged over classes (You et al. 2021, ICML).

    A Bayesian linear model of each one-hot column, its prior and noise precision fitted by fixed-point
    steps. The interval is over classes. Undefined without two classes or with fewer than three images.

    >>> rows = np.repeat(np.eye(2), 20, axis=0) + np.random.default_rng(0).normal(0, 0.1, (40, 2))
    >>> logme(rows, ["a"] * 20 + ["b"] * 20).value > 0
    True
    """
    classes = encode(labels, len(features))
    known = classes.known
    n, count = int(known.sum()), len(classes.names)
    protocol = f"mean log evidence per image, one column per class; interval over classes; {HINT}"
    if count < 2 or n < 3:
        reason = f"it needs two classes and three images; there are {count} and {n}"
        return undefined("LogME", reason, n=n, protocol=protocol)
    if not checked(features)[known].any():
        return undefined("LogME", "all features are zero", n=n, protocol=protocol)
    left, eigenvalues = _decompose(features[known])
    target = np.eye(count)[classes.codes[known]]
    scores = _evidence(left, eigenvalues, target, features.shape[1])
    random = np.random.default_rng(seed)
    chance = [
        _evidence(left, eigenvalues, target[random.permutation(n)], features.shape[1]).mean()
        for _ in range(shuffles)
    ]
    return Measure(
        "LogME",
        float(scores.mean()),
        n,
        protocol,
        interval=mean_interval(scores, seed=seed) if count > 2 else None,
        chance=float(np.mean(chance)) if chance else None,
        detail={"per_class": dict(zip(classes.names, scores.tolist(), strict=True)), "warning": HINT},
    )


def _decompose(
    features: Float[np.ndarray, "n d"],
) -> tuple[Float64[np.ndarray, "n k"], Float64[np.ndarray, "k"]]:
    """Left singular vectors and squared singular values, through the smaller Gram matrix when n > d."""
    n, d = features.shape
    if n <= d:
        rows = features.astype(np.float64)
        values, left = np.linalg.eigh(rows @ rows.T)
        keep = values > 1e-12 * values[-1]
        return left[:, keep], values[keep]
    gram = np.zeros((d, d))
    for part in blocks(n, 8 * d):
        rows = features[part].astype(np.float64)
        gram += rows.T @ rows
    values, right = np.linalg.eigh(gram)
    keep = values > 1e-12 * values[-1]
    values, right = values[keep], right[:, keep]
    return features.astype(np.float64) @ (right / np.sqrt(values)), values


def _evidence(
    left: Float64[np.ndarray, "n k"],
    eigenvalues: Float64[np.ndarray, "k"],
    targets: Float64[np.ndarray, "n c"],
    d: int,
) -> Float64[np.ndarray, "c"]:
    n = len(targets)
    projected = (left.T @ targets) ** 2
    outside = np.maximum((targets**2).sum(axis=0) - projected.sum(axis=0), 0)
    alpha, beta = np.ones(targets.shape[1]), np.ones(targets.shape[1])
    for _ in range(200):
        ratio = alpha / beta
        shrunk = eigenvalues[:, None] + ratio
        gamma = (eigenvalues[:, None] / shrunk).sum(axis=0)
        weight = (eigenvalues[:, None] * projected / shrunk**2).sum(axis=0)
        residual = (ratio**2 * projected / shrunk**2).sum(axis=0) + outside
        alpha = gamma / np.maximum(weight, 1e-12)
        beta = (n - gamma) / np.maximum(residual, 1e-12)
        if np.all(np.abs(alpha / beta - ratio) <= 1e-9 * ratio):
            break
    ratio = alpha / beta
    shrunk = eigenvalues[:, None] + ratio
    weight = (eigenvalues[:, None] * projected / shrunk**2).sum(axis=0)
    residual = (ratio**2 * projected / shrunk**2).sum(axis=0) + outside
    k = len(eigenvalues)
    log_det = np.log(alpha + beta * eigenvalues[:, None]).sum(axis=0) + (d - k) * np.log(alpha)
    evidence = (
        d / 2 * np.log(alpha)
        + n / 2 * np.log(beta)
        - beta / 2 * residual
        - alpha / 2 * weight
        - log_det / 2
        - n / 2 * np.log(2 * np.pi)
    )
    return evidence / n
