"""What to look at: label problems, and the searches that go best and worst."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from featurelens.assess.collapse import same_directions
from featurelens.assess.copies import Pair, across, copies, two_labels
from featurelens.assess.mislabelled import Suspect, mislabelled
from featurelens.assess.neighbours import nearest
from featurelens.assess.result import Measure
from featurelens.assess.study import Assessment, sides_of
from featurelens.assess.threads import one_thread


@dataclass(frozen=True)
class Query:
    """One search among the images: its row, average precision, and the nearest rows with their similarity."""

    row: int
    average_precision: float
    found: tuple[int, ...]
    similarity: tuple[float, ...]


@dataclass(frozen=True)
class Findings:
    """All faults that the features of one backbone show, and examples of its searches."""

    pairs: tuple[Pair, ...]
    two_labels: tuple[Pair, ...]
    leaks: tuple[Pair, ...]
    suspects: tuple[Suspect, ...]
    background: Measure | None
    best: tuple[Query, ...]
    worst: tuple[Query, ...]


def findings(
    assessment: Assessment,
    *,
    sides: Sequence[str] | None = None,
    background: Measure | None = None,
    examples: int = 4,
    seed: int = 0,
) -> Findings:
    """Faults and examples from the features of one backbone; `sides` default to train and test folders.

    Raises MissingExtra without scikit-learn when there are labels.
    """
    with one_thread():
        return _findings(assessment, sides, background, examples, seed)


def _findings(
    assessment: Assessment,
    sides: Sequence[str] | None,
    background: Measure | None,
    examples: int,
    seed: int,
) -> Findings:
    features = assessment.features
    rows, labels = features.vectors, features.labels
    pairs = [] if same_directions(rows) else copies(rows)  # else every pair, and none tells anything
    leaks = across(pairs, sides_of(features) if sides is None else sides)
    if labels is None:
        return Findings(tuple(pairs), (), tuple(leaks), (), background, (), ())
    best, worst = _queries(assessment, examples)
    return Findings(
        tuple(pairs),
        tuple(two_labels(pairs, labels, len(labels))),
        tuple(leaks),
        tuple(mislabelled(rows, labels, seed=seed)),
        background,
        tuple(best),
        tuple(worst),
    )


def _queries(assessment: Assessment, examples: int) -> tuple[list[Query], list[Query]]:
    """The best query of the `examples` best classes apart, and the worst ones of different classes."""
    measure = assessment.measures.get("mAP")
    labels = assessment.features.labels
    if measure is None or measure.per_item is None or labels is None:
        return [], []
    scores = measure.per_item
    order = np.argsort(np.where(np.isnan(scores), 2, scores), kind="stable")
    order = order[~np.isnan(scores[order])]
    rows = assessment.features.vectors
    k = min(6, len(rows) - 1)

    def take(candidates: np.ndarray) -> list[Query]:
        chosen, seen = [], set()
        for row in candidates.tolist():
            if labels[row] in seen:
                continue
            seen.add(labels[row])
            skip = np.array([row], dtype=np.int64)
            indices, similarity = nearest(rows[row : row + 1], rows, k=k, skip=skip)
            found, how = tuple(indices[0].tolist()), tuple(similarity[0].tolist())
            chosen.append(Query(row, float(scores[row]), found, how))
            if len(chosen) == examples:
                break
        return chosen

    return take(order[::-1]), take(order)
