"""All measures of one set of features, and the comparison of several sets of the same images."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from featurelens.assess.agreement import GRAM_ROWS, linear_cka, neighbour_agreement
from featurelens.assess.arrays import encode
from featurelens.assess.clusters import Cluster, clusters
from featurelens.assess.distances import class_distances
from featurelens.assess.geometry import alignment, hubness, intrinsic_dimension, uniformity
from featurelens.assess.pareto import pareto
from featurelens.assess.probe_knn import KS, knn_probe
from featurelens.assess.probe_linear import few_shot, linear_probe
from featurelens.assess.result import Measure
from featurelens.assess.retrieval import retrieval
from featurelens.assess.significance import Paired, against_best
from featurelens.assess.silhouette import silhouette
from featurelens.assess.spectrum import alpha_req, rankme
from featurelens.assess.splits import Split, by_folder, by_ratio, check_split, split_names
from featurelens.assess.threads import one_thread
from featurelens.assess.transferability import logme
from featurelens.errors import InvalidInput
from featurelens.features.table import Features

QUALITY = ("linear probe accuracy", "kNN accuracy, k = 10", "mAP")
"""What decides which backbone is best: the first of these that is defined for all."""


@dataclass(frozen=True)
class Cost:
    """What extraction took on this machine; None where it was not measured."""

    images_per_second: float | None = None
    memory_bytes: int | None = None


@dataclass(frozen=True)
class Assessment:
    """One backbone: all its measures by name, and the clusters its features form."""

    name: str
    features: Features
    measures: Mapping[str, Measure]
    groups: tuple[Cluster, ...] = ()
    cost: Cost = field(default_factory=Cost)


@dataclass(frozen=True)
class Study:
    """Several backbones on the same images: which is best, by what, and how sure that is."""

    assessments: tuple[Assessment, ...]
    quality: str | None
    best: str
    tests: tuple[Paired, ...]
    front: tuple[str, ...]
    agreement: Mapping[tuple[str, str], tuple[Measure, Measure]]

    def __getitem__(self, name: str) -> Assessment:
        return next(one for one in self.assessments if one.name == name)


def measure(
    features: Features,
    *,
    name: str | None = None,
    cost: Cost | None = None,
    splits: Sequence[Split] | None = None,
    seed: int = 0,
) -> Assessment:
    """Every measure that these features allow: those of labels only where two classes have two images.

    Raises MissingExtra without scikit-learn.
    """
    rows, labels = features.vectors, features.labels
    found: list[Measure] = []
    if labels is not None and any(labels):
        found += [linear_probe(rows, labels, splits=splits, seed=seed)]
        found += knn_probe(rows, labels, ks=KS, splits=splits, seed=seed).values()
        found += retrieval(rows, labels, seed=seed).values()
        found += [silhouette(rows, labels, metric=m, seed=seed) for m in ("cosine", "euclidean")]
        found += [class_distances(rows, labels, seed=seed), alignment(rows, labels, seed=seed)]
        found += few_shot(rows, labels, splits=splits, seed=seed).values()
        found += [logme(rows, labels, seed=seed)]
    found += [rankme(rows, seed=seed), alpha_req(rows), uniformity(rows)]
    found += [intrinsic_dimension(rows), hubness(rows, seed=seed)]
    number, groups = clusters(rows, labels)
    found += [number]
    return Assessment(
        name or features.spec.name,
        features,
        {one.name: one for one in found},
        tuple(groups),
        cost or Cost(),
    )


def study(
    sets: Mapping[str, Features],
    *,
    costs: Mapping[str, Cost] | None = None,
    split: str = "folds",
    seed: int = 0,
    on_progress: Callable[[str], None] | None = None,
) -> Study:
    """Measure several backbones on the images they all could read, and compare them pairwise.

    `split`: "folds" (cross-validation; kNN leaves one out), "folder" (train against test or val folders) or
    a share such as "0.25". Raises InvalidInput when the sets have no image in common.
    """
    if not sets:
        raise InvalidInput("There are no features to assess; give at least one backbone.")
    sets = common(sets)
    first = next(iter(sets.values()))
    splits = splits_of(first, split, seed)
    assessments = []
    for name, features in sets.items():
        if on_progress:
            on_progress(name)
        cost = (costs or {}).get(name)
        with one_thread():
            assessments.append(measure(features, name=name, cost=cost, splits=splits, seed=seed))
    quality = next((q for q in QUALITY if all(_defined(a, q) for a in assessments)), None)
    ranked = sorted(assessments, key=lambda a: -a.measures[quality].value) if quality else assessments
    best = ranked[0]
    tests = against_best({a.name: a.measures[quality] for a in ranked}, seed=seed) if quality else []
    points = {
        a.name: (
            a.measures[quality].value if quality else None,
            a.cost.images_per_second,
            -float(a.cost.memory_bytes) if a.cost.memory_bytes else None,
        )
        for a in ranked
    }
    with one_thread():
        agreement = _agreement(ranked, seed)
    front = tuple(pareto(points))
    return Study(tuple(ranked), quality, best.name, tuple(tests), front, agreement)


def with_measures(found: Study, more: Mapping[str, Mapping[str, Measure]]) -> Study:
    """The study with further measures of its backbones, by their names."""
    return replace(
        found,
        assessments=tuple(
            replace(a, measures={**a.measures, **more.get(a.name, {})}) for a in found.assessments
        ),
    )


def splits_of(features: Features, split: str, seed: int) -> list[Split] | None:
    """The splits that a word asks for; None for cross-validation, which each probe makes itself."""
    share = check_split(split)
    if split == "folds" or features.labels is None or not any(features.labels):
        return None
    codes = encode(features.labels, len(features)).codes
    if split == "folder":
        return by_folder(features.ids, codes)
    assert share is not None
    return by_ratio(codes, test=share, seed=seed)


def common(sets: Mapping[str, Features]) -> dict[str, Features]:
    """The sets cut down to the images that all of them have, in the order of the first."""
    shared = set.intersection(*(set(features.ids) for features in sets.values()))
    first = next(iter(sets.values()))
    order = [i for i in first.ids if i in shared]
    if not order:
        raise InvalidInput("No image was read by all backbones; see the skipped files of each.")
    result = {}
    for name, features in sets.items():
        place = {i: row for row, i in enumerate(features.ids)}
        result[name] = features if list(features.ids) == order else features.select([place[i] for i in order])
    return result


def sides_of(features: Features) -> list[str]:
    """'train', 'test' or '' for each image, from its folders."""
    return split_names(features.ids).tolist()


def _defined(assessment: Assessment, name: str) -> bool:
    found = assessment.measures.get(name)
    return found is not None and found.defined and math.isfinite(found.value)


def _agreement(ranked: Sequence[Assessment], seed: int) -> dict[tuple[str, str], tuple[Measure, Measure]]:
    pairs = {}
    for i, a in enumerate(ranked):
        for b in ranked[i + 1 :]:
            x, y = a.features.vectors, b.features.vectors
            cka = linear_cka(x, y, interval=len(x) <= GRAM_ROWS, seed=seed)
            pairs[a.name, b.name] = (cka, neighbour_agreement(x, y, seed=seed))
    return pairs


def confused(assessment: Assessment, *, most: int = 10) -> list[tuple[str, str, int, int]]:
    """The commonest mistakes of the linear probe: true class, taken for, how often, of how many."""
    probe = assessment.measures.get("linear probe accuracy")
    if probe is None or not probe.defined:
        return []
    table = np.array(probe.detail["confusion"])
    names, totals = probe.detail["classes"], table.sum(axis=1)
    wrong = table * (1 - np.eye(len(names), dtype=np.int64))
    order = np.dstack(np.unravel_index(np.argsort(-wrong, axis=None, kind="stable"), wrong.shape))[0]
    return [
        (names[i], names[j], int(wrong[i, j]), int(totals[i]))
        for i, j in order.tolist()[:most]
        if wrong[i, j]
    ]
