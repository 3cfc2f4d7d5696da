"""Does fusing several sources help? Cross-fitted, so that a fusion trained on labels is judged on other images."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from featurelens.assess.arrays import encode, unit
from featurelens.assess.both_roles import spreads, wide_interval
from featurelens.assess.interval import mean_interval
from featurelens.assess.probe_linear import probabilities
from featurelens.assess.result import Measure, undefined
from featurelens.assess.retrieval import average_precisions
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
    corrected (Holm) for every fusion against every source, as any source could have come first. Measures that
    are undefined are in neither.
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

    In each fold a fusion is fitted on the teaching rows and their labels only; the other rows are the probe's test, and
    look for their class among themselves: among the teaching rows they would find what was put there. Where no
    fold tests two rows of one class, mAP is undefined and there is no gain in it. Raises InvalidInput for fewer
    than two sources, sources of different length, or labels of fewer than two classes.

    >>> rows = np.eye(2)[[0] * 6 + [1] * 6] + 0.01 * np.arange(24).reshape(12, 2)
    >>> found = fusion_gain({"a": rows, "b": rows}, ["x"] * 6 + ["y"] * 6, {"both": lambda s, l: np.hstack}, folds=3)
    >>> found.measures["both"]["mAP"].value
    1.0
    """
    if len(sources) < 2:
        raise InvalidInput(f"There are {len(sources)} sources; to fuse there must be two or more.")
    lengths = {name: len(rows) for name, rows in sources.items()}
    if len(set(lengths.values())) > 1:
        said = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise InvalidInput(
            f"The sources have different numbers of rows ({said}); give one row per image in each."
        )
    count = next(iter(lengths.values()))
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
    defined = [m for m in (PROBE, MAP) if all(of_way[m].defined for of_way in measures.values())]
    best = {m: max(given, key=lambda name: measures[name][m].value) for m in defined}
    gains: list[Paired] = []
    for name in defined:
        tests = [
            paired(measures[way][name], measures[source][name], names=(way, source), seed=seed)
            for way in fusions
            for source in given
        ]
        gains += [test for test in holm(tests) if test.b == best[name]]
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
    right = np.full(len(codes), np.nan)
    tested: list[tuple[np.ndarray, np.ndarray]] = []
    for split in in_folds(codes, folds=folds, seed=seed):
        teach, test = split.train, split.test
        join = fit([s[teach] for s in sources], [labels[i] for i in teach])
        rows = unit(join(sources), np.float32)
        found = probabilities(rows[teach], codes[teach], rows[test], int(codes.max()) + 1, 10.0)
        right[test] = found.argmax(1) == codes[test]
        tested.append((test, rows[test]))

    def precisions(kept: Int64[np.ndarray, "kept"]) -> dict[str, Float64[np.ndarray, "kept"]]:
        """Of the kept rows, each fold by itself; NaN for an image alone in its class, which looks for nothing."""
        result = np.full(len(codes), np.nan)
        for test, rows in tested:
            here = np.isin(test, kept)
            own = codes[test[here]]
            others = np.bincount(own)[own] > 1
            result[test[here]] = np.where(others, average_precisions(rows[here], own), np.nan)
        return {MAP: result[kept]}

    said = f"fitted and taught on {folds - 1} of {folds} folds, tested on the other; interval by bootstrap over images"
    probe = Measure(
        PROBE,
        float(right.mean()),
        len(right),
        f"logistic regression (C = 10) on unit vectors; {said}",
        interval=mean_interval(right, seed=seed),
        per_item=right,
    )
    how = f"each test image as a query against the other test images, by cosine; {said}"
    precision = precisions(np.arange(len(codes), dtype=np.int64))[MAP]
    if np.isnan(precision).all():
        reason = f"none of {folds} folds tests two images of one class"
        return {PROBE: probe, MAP: undefined(MAP, reason, n=0, protocol=how)}
    spread = spreads(precisions, codes, seed=seed)[MAP]
    ranked = Measure(
        MAP,
        float(np.nanmean(precision)),
        int(np.isfinite(precision).sum()),
        f"{how}, {spread:.2f} times as wide because every image is a result too (grouped jackknife)",
        interval=wide_interval(precision, spread, seed=seed),
        detail={"spread": spread},
        per_item=precision,
    )
    return {PROBE: probe, MAP: ranked}
