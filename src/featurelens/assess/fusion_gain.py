"""Does fusing several sources help? Cross-fitted, so that a fusion trained on labels is judged on other images."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from featurelens.assess.arrays import encode, unit
from featurelens.assess.interval import mean_interval
from featurelens.assess.probe_linear import probabilities
from featurelens.assess.result import Measure
from featurelens.assess.significance import Paired, holm, paired
from featurelens.assess.splits import in_folds
from featurelens.assess.threads import one_thread
from featurelens.errors import InvalidInput
from featurelens.shapes import Float, Float64, Int64

Rows = Float[np.ndarray, "n _"]
Join = Callable[[Sequence[np.ndarray]], np.ndarray]
Fit = Callable[[Sequence[np.ndarray], Sequence[str]], Join]
PROBE, MAP = "linear probe accuracy", "mAP"


@dataclass(frozen=True)
class FusionGain:
    """Every source and every fusion measured alike; `gains` compare each fusion with the best single source.

    `measures[way][name]`; `best[name]` is the best single source by that measure; the p of the gains are
    corrected (Holm) for the number of fusions.
    """

    measures: Mapping[str, Mapping[str, Measure]]
    best: Mapping[str, str]
    gains: tuple[Paired, ...]

    def __str__(self) -> str:
        lines = []
        for gain in self.gains:
            low, high = gain.interval
            said = (
                "helps"
                if gain.significant and gain.difference > 0
                else "harms"
                if gain.significant
                else "within noise"
            )
            lines.append(
                f"{gain.measure}: {gain.a} against {gain.b} {gain.difference:+.3f} [{low:+.3f}, {high:+.3f}] {said}"
            )
        return "\n".join(lines)


def fusion_gain(
    sources: Mapping[str, Rows],
    labels: Sequence[str],
    fusions: Mapping[str, Fit],
    *,
    folds: int = 5,
    seed: int = 0,
) -> FusionGain:
    """Linear probe accuracy and mAP of each source alone and of each fusion, in `folds` folds of the labelled rows.

    In each fold a fusion is fitted on the teaching rows and their labels only; the other rows are the probe's test,
    and the queries that look for their class among the teaching rows. Raises InvalidInput for fewer than two sources
    or labels of fewer than two classes.

    >>> rows = np.eye(2)[[0, 0, 0, 1, 1, 1]] + 0.01 * np.arange(12).reshape(6, 2)
    >>> found = fusion_gain({"a": rows, "b": rows}, list("xxxyyy"), {"both": lambda s, l: np.hstack}, folds=3)
    >>> found.measures["both"]["mAP"].value
    1.0
    """
    if len(sources) < 2:
        raise InvalidInput(f"There are {len(sources)} sources; to fuse there must be two or more.")
    count = len(next(iter(sources.values())))
    classes = encode(labels, count)
    if len(classes.names) < 2:
        raise InvalidInput(
            f"The labels hold {len(classes.names)} classes; it needs two or more to tell apart."
        )
    known = np.flatnonzero(classes.known)
    codes = classes.codes[known]
    given = {name: np.asarray(rows)[known] for name, rows in sources.items()}
    texts = [labels[int(i)] for i in known]
    ways: dict[str, Fit] = {name: _alone(n) for n, name in enumerate(given)}
    ways |= dict(fusions)
    with one_thread():
        measures = {
            name: _measured(list(given.values()), codes, texts, fit, folds, seed)
            for name, fit in ways.items()
        }
    best = {m: max(given, key=lambda name: measures[name][m].value) for m in (PROBE, MAP)}
    gains: list[Paired] = []
    for name in (PROBE, MAP):
        tests = [
            paired(measures[way][name], measures[best[name]][name], names=(way, best[name]), seed=seed)
            for way in fusions
        ]
        gains += holm(tests)
    return FusionGain(measures, best, tuple(gains))


def _alone(place: int) -> Fit:
    return lambda sources, labels: lambda given: given[place]


def _measured(
    sources: list[np.ndarray],
    codes: Int64[np.ndarray, "n"],
    labels: list[str],
    fit: Fit,
    folds: int,
    seed: int,
) -> dict[str, Measure]:
    right, precision = np.full(len(codes), np.nan), np.full(len(codes), np.nan)
    for split in in_folds(codes, folds=folds, seed=seed):
        teach, test = split.train, split.test
        join = fit([s[teach] for s in sources], [labels[i] for i in teach])
        rows = unit(join(sources), np.float32)
        found = probabilities(rows[teach], codes[teach], rows[test], int(codes.max()) + 1, 10.0)
        right[test] = found.argmax(1) == codes[test]
        precision[test] = _precisions(rows[test] @ rows[teach].T, codes[test], codes[teach])
    said = f"fitted and taught on {folds - 1} of {folds} folds, tested on the other; interval by bootstrap over images"
    values = {
        PROBE: (right, "logistic regression (C = 10) on unit vectors"),
        MAP: (precision, "test images as queries against the teaching images, by cosine"),
    }
    return {
        name: Measure(
            name,
            float(np.nanmean(rows)),
            int(np.isfinite(rows).sum()),
            f"{how}; {said}",
            interval=mean_interval(rows, seed=seed),
            per_item=rows,
        )
        for name, (rows, how) in values.items()
    }


def _precisions(
    similarity: Float[np.ndarray, "query item"],
    query: Int64[np.ndarray, "query"],
    item: Int64[np.ndarray, "item"],
) -> Float64[np.ndarray, "query"]:
    """Average precision of each query's ranking; NaN where nothing of its class is to be found."""
    hit = item[np.argsort(-similarity, axis=1, kind="stable")] == query[:, None]
    ranks = np.arange(1, hit.shape[1] + 1)
    totals = hit.sum(1)
    found = (hit.cumsum(1) / ranks * hit).sum(1) / np.maximum(totals, 1)
    return np.where(totals > 0, found, np.nan)
