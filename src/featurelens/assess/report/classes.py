"""One line per class: how well it is told from the others, and what it is taken for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from featurelens.assess.result import Measure
from featurelens.assess.study import Assessment


@dataclass(frozen=True)
class ClassRow:
    """The measures of one class; None where a measure has no value for it."""

    name: str
    images: int
    recall: float | None
    taken_for: str
    average_precision: float | None
    silhouette: float | None
    ratio: float | None
    nearest: str


def class_rows(assessment: Assessment) -> list[ClassRow]:
    """The classes of the images, the one that the linear probe recognises least first."""
    labels = assessment.features.labels
    if labels is None or not any(labels):
        return []
    recalls, mistakes = _recalls(assessment)
    precision, silhouette, distance = (
        _per_class(assessment, name) for name in ("mAP", "silhouette (cosine)", "intra / inter distance")
    )
    rows = []
    for name in sorted(set(labels) - {""}):
        apart = distance.get(name, {})
        inter = apart.get("inter") or 0.0
        rows.append(
            ClassRow(
                name,
                labels.count(name),
                recalls.get(name),
                mistakes.get(name, ""),
                _number(precision.get(name)),
                _number(silhouette.get(name)),
                _number(apart["intra"] / inter) if inter else None,
                str(apart.get("nearest", "")),
            )
        )
    return sorted(rows, key=lambda row: (row.recall is None, row.recall, row.silhouette or 0.0))


def _recalls(assessment: Assessment) -> tuple[dict[str, float], dict[str, str]]:
    """The share of each class that the linear probe gets right, and its commonest mistake in words."""
    probe = assessment.measures.get("linear probe accuracy")
    if probe is None or not probe.defined:
        return {}, {}
    names, table = probe.detail["classes"], np.array(probe.detail["confusion"])
    recalls, mistakes = {}, {}
    for i, name in enumerate(names):
        total = int(table[i].sum())
        if not total:
            continue
        recalls[name] = float(table[i, i] / total)
        wrong = np.where(np.arange(len(names)) == i, 0, table[i])
        if wrong.any():
            mistakes[name] = f"{names[int(wrong.argmax())]} ({int(wrong.max())} of {total})"
    return recalls, mistakes


def _per_class(assessment: Assessment, name: str) -> Mapping[str, Any]:
    found = assessment.measures.get(name)
    return found.detail.get("per_class", {}) if found is not None and found.defined else {}


def _number(value: float | None) -> float | None:
    return None if value is None or not np.isfinite(value) else float(value)


def told_by_frame(
    background: Measure | None, labels: Sequence[str] | None
) -> list[tuple[str, float, list[int]]]:
    """The classes that the frame alone gives away: name, share recognised, and rows where it was right."""
    if background is None or background.per_item is None or labels is None:
        return []
    shares = background.detail["per_class"]
    return [
        (
            name,
            shares[name],
            [row for row, label in enumerate(labels) if label == name and background.per_item[row] == 1],
        )
        for name in background.detail["given_away"]
    ]
