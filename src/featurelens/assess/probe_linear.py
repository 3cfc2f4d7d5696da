"""The linear probe: logistic regression on frozen features, its strength chosen on held-out rows."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from featurelens.assess.arrays import Labels, encode, unit
from featurelens.assess.interval import share_interval
from featurelens.assess.result import Measure, undefined
from featurelens.assess.splits import Split, by_ratio, in_folds
from featurelens.assess.threads import one_thread
from featurelens.errors import InvalidInput, MissingExtra
from featurelens.shapes import Float, Float64, Int64

GRID = (0.1, 1.0, 10.0, 100.0)
"""Inverse L2 strengths C, for rows of typical length 1."""
_SHARED = (
    "; folds share teaching images, which it leaves out: of tests at .05 between equally good features "
    "about .08 came out different (benchmarks/assess_calibration.py)"
)


def linear_probe(
    features: Float[np.ndarray, "n d"],
    labels: Labels,
    *,
    splits: Sequence[Split] | None = None,
    grid: Sequence[float] = GRID,
    seed: int = 0,
) -> Measure:
    """Accuracy of L2-regularised logistic regression (L-BFGS) on centred unit vectors; 5 folds without `splits`.

    C comes from `grid` by accuracy on a fifth of the teaching rows, then all of them are used; test rows
    take no part in the choice. `detail` has the chosen C, the confusion matrix and the out-of-fold
    probabilities. `chance` is what always saying the commonest class of the teaching rows gives. Undefined
    when fewer than two classes have two images. Raises MissingExtra without scikit-learn, InvalidInput for
    an empty grid.
    """
    if not grid:
        raise InvalidInput("The grid is empty; give at least one value of C.")
    classes = encode(labels, len(features))
    counts = classes.counts
    n, count = int(counts.sum()), len(counts)
    if (counts >= 2).sum() < 2:
        reason = f"it needs two classes with two images each; there are {int((counts >= 2).sum())}"
        return undefined("linear probe accuracy", reason, n=n, protocol="L-BFGS logistic regression")
    if splits is None:
        splits = in_folds(classes.codes, folds=min(5, n), seed=seed)
    rows = unit(features, np.float32)
    probability = np.full((len(rows), count), np.nan)
    chosen = []
    for split in splits:
        c = _choose(rows[split.train], classes.codes[split.train], grid, seed)
        chosen.append(c)
        probability[split.test] = probabilities(
            rows[split.train], classes.codes[split.train], rows[split.test], count, c
        )
    tested = np.flatnonzero(~np.isnan(probability[:, 0]))
    predicted = probability[tested].argmax(axis=1)
    right = np.full(len(rows), np.nan)
    right[tested] = predicted == classes.codes[tested]
    confusion = np.zeros((count, count), dtype=np.int64)
    np.add.at(confusion, (classes.codes[tested], predicted), 1)
    return Measure(
        "linear probe accuracy",
        float(np.nanmean(right)),
        len(tested),
        f"L-BFGS logistic regression on unit vectors, centred, C from {tuple(grid)} by a held-out fifth, "
        f"{len(splits)} split{'s' if len(splits) > 1 else ''}; interval by bootstrap over images"
        + (_SHARED if len(splits) > 1 else ""),
        interval=share_interval(right, seed=seed),
        chance=_commonest(classes.codes, splits, tested),
        detail={
            "c": chosen,
            "classes": classes.names,
            "confusion": confusion,
            "probability": probability,
            "majority": float(counts.max() / n),
        },
        per_item=right,
    )


def _commonest(
    codes: Int64[np.ndarray, "n"], splits: Sequence[Split], tested: Int64[np.ndarray, "tested"]
) -> float:
    """The share of the tested rows in the commonest class of all teaching rows (the mean of several such)."""
    taught = np.bincount(np.concatenate([codes[split.train] for split in splits]), minlength=codes.max() + 1)
    commonest = np.flatnonzero(taught == taught.max())
    return float(np.isin(codes[tested], commonest).mean()) / len(commonest)


def few_shot(
    features: Float[np.ndarray, "n d"],
    labels: Labels,
    *,
    shots: Sequence[int] = (1, 2, 4, 8, 16),
    splits: Sequence[Split] | None = None,
    repeats: int = 5,
    c: float = 10.0,
    seed: int = 0,
) -> dict[int, Measure]:
    """The learning curve: accuracy with 1, 2, 4, ... teaching images per class, tested on a fixed quarter.

    Of `splits` the first one says instead which rows may teach and which test.
    The interval joins the spread over `repeats` draws of the teaching images with that of the test images
    (Wilson 1927). A number of shots that some class cannot give is undefined. Raises MissingExtra without scikit-learn.
    """
    classes = encode(labels, len(features))
    split = (by_ratio(classes.codes, seed=seed) if splits is None else splits)[0]
    tested_on = "a quarter" if splits is None else "the test images of the split"
    rows, count = unit(features, np.float32), len(classes.names)
    spare = np.bincount(classes.codes[split.train], minlength=count)
    results = {}
    for shot in shots:
        name = f"{shot}-shot accuracy"
        protocol = f"logistic regression (C = {c:g}) on {shot} images per class, {repeats} draws, {tested_on} to test"
        if count < 2:
            reason = f"there are {count} classes of the 2 it takes"
        elif spare.min() < shot:
            least = int(spare.argmin())
            reason = f"'{classes.names[least]}', the smallest of {count} classes, has only {int(spare[least])} to teach it"
        elif not len(split.test):
            reason = "no class has a second image to test on"
        else:
            reason = ""
        if reason:
            results[shot] = undefined(name, reason, n=len(split.test), protocol=protocol)
            continue
        scores = []
        for repeat in range(repeats):
            random = np.random.default_rng((seed, shot, repeat))
            pools = [
                random.permutation(split.train[classes.codes[split.train] == k])[:shot] for k in range(count)
            ]
            teach = np.concatenate(pools)
            found = probabilities(rows[teach], classes.codes[teach], rows[split.test], count, c).argmax(
                axis=1
            )
            scores.append(float((found == classes.codes[split.test]).mean()))
        mean = float(np.mean(scores))
        drawn = float(np.var(scores, ddof=1)) / repeats if repeats > 1 else 0.0
        results[shot] = Measure(
            name,
            mean,
            len(split.test),
            protocol,
            interval=_wilson(mean, len(split.test), drawn),
            chance=1 / count,  # it was taught on equally many of each class
            detail={"draws": scores},
        )
    return results


def _wilson(share: float, n: int, drawn: float) -> tuple[float, float]:
    """Wilson's 95 % interval of a share of n test images, joined with the variance over the draws.

    Unlike the normal one it does not claim certainty where every test image was right.
    """
    z2 = 1.959964**2
    centre = (share * n + z2 / 2) / (n + z2)
    half = np.sqrt(z2 * drawn + z2 * (share * (1 - share) * n + z2 / 4) / (n + z2) ** 2)
    return float(max(0.0, centre - half)), float(min(1.0, centre + half))


def probabilities(
    train: Float[np.ndarray, "a d"],
    codes: Int64[np.ndarray, "a"],
    test: Float[np.ndarray, "b d"],
    count: int,
    c: float,
) -> Float64[np.ndarray, "b count"]:
    """Class probabilities of the test rows; a class without a teaching row gets 0."""
    result = np.zeros((len(test), count))
    seen = np.unique(codes)
    if len(seen) == 1:
        result[:, seen[0]] = 1
        return result
    train, test = _scaled(train, test)
    result[:, seen] = _fit(train, codes, c).predict_proba(test)
    return result


def _scaled(
    train: Float[np.ndarray, "a d"], test: Float[np.ndarray, "b d"]
) -> tuple[Float[np.ndarray, "a d"], Float[np.ndarray, "b d"]]:
    """Both centred on the teaching rows and divided by their typical length, so that C means the same for
    features that differ little between images and for those that differ much."""
    mean = train.mean(axis=0)
    spread = np.sqrt(((train - mean) ** 2).sum(axis=1).mean())
    scale = 1 / spread if spread > 0 else 1.0
    return (train - mean) * np.float32(scale), (test - mean) * np.float32(scale)


def _choose(
    rows: Float[np.ndarray, "a d"], codes: Int64[np.ndarray, "a"], grid: Sequence[float], seed: int
) -> float:
    inner = by_ratio(codes, test=0.2, seed=seed)[0]
    if len(grid) == 1 or not len(inner.test) or len(np.unique(codes[inner.train])) < 2:
        return grid[0] if len(grid) == 1 else grid[len(grid) // 2]
    teach, held = _scaled(rows[inner.train], rows[inner.test])
    taught, truth = codes[inner.train], codes[inner.test]
    scores = [float((_fit(teach, taught, c).predict(held) == truth).mean()) for c in grid]
    return grid[int(np.argmax(scores))]


def _fit(rows: Float[np.ndarray, "a d"], codes: Int64[np.ndarray, "a"], c: float) -> Any:
    try:
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression
    except ImportError as error:
        raise MissingExtra("scikit-learn", "lab", "The linear probe") from error
    with warnings.catch_warnings(), one_thread():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.filterwarnings("ignore", "The number of unique classes is greater than 50%", UserWarning)
        return LogisticRegression(C=c, max_iter=300, tol=1e-3).fit(rows, codes)
