"""Which layer, under which pooling, is best for these images?"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from featurelens.assess.extraction import extract_kept
from featurelens.assess.layer_choice import layers_to_try
from featurelens.assess.probe_knn import knn_probe
from featurelens.assess.result import Measure
from featurelens.assess.retrieval import retrieval
from featurelens.assess.significance import Paired, holm, paired
from featurelens.assess.spectrum import rankme
from featurelens.backbone.protocol import Backbone
from featurelens.errors import InvalidInput
from featurelens.features.sets import wanted_sets
from featurelens.features.table import Features

EMBEDDING = "its own embedding"
LAST_MAP = "last map"


@dataclass(frozen=True)
class Choice:
    """One layer under one pooling, the measures that rank it, and how it compares with the own embedding."""

    layer: str
    pooling: str
    dim: int
    measures: tuple[Measure, ...]
    against: Paired | None = None


def sweep(
    images: Path,
    backbone: Backbone,
    layers: Sequence[str],
    poolings: Sequence[str],
    *,
    own: Features | None = None,
    cache: Path | None = None,
    k: int = 10,
    seed: int = 0,
    on_progress: Callable[[int, int], None] | None = None,
) -> list[Choice]:
    """Each layer (none: the backbone's last map) under each pooling, all from one pass, best first.

    "auto" among the layers stands for blocks spread over the depth. Ranked by kNN accuracy, without labels
    by RankMe. `own`, the backbone's embedding of the same folder, takes part too, and each other row is
    tested against it in pairs. With `cache`, a folder, the pass is kept and resumed. Layers need a torch
    backbone. Raises LayerError for a layer that is not there, InvalidInput when there is neither a layer
    nor a pooling.
    """
    if not layers and not poolings:
        raise InvalidInput("A sweep needs layers, poolings or both.")
    names = layers_to_try(backbone, layers) or None
    ways = list(poolings or ["avg"])
    wanted = wanted_sets(names, ways)
    mark = hashlib.sha256(repr(sorted(wanted)).encode()).hexdigest()[:8]

    def tell(progress: object) -> None:
        if on_progress:
            on_progress(progress.done, progress.total)  # pyright: ignore[reportAttributeAccessIssue]

    found = extract_kept(
        images,
        backbone,
        store=cache and cache / f"sweep-{mark}",
        layers=names,
        pooling=ways,
        on_progress=tell,
    )
    choices = [
        _choice(one.layer or LAST_MAP, one.pooling, found[name], k, seed) for name, one in wanted.items()
    ]
    if own is not None:
        choices = [_choice(EMBEDDING, "", own, k, seed), *_compared(choices, found, own, k, seed)]
    return sorted(choices, key=lambda choice: -choice.measures[0].value)


def _choice(layer: str, pooling: str, features: Features, k: int, seed: int) -> Choice:
    rows, labels = features.vectors, features.labels
    rank = rankme(rows, interval=False)
    measures = (rank,)
    if labels is not None and any(labels):
        probe = knn_probe(rows, labels, ks=(k,), seed=seed)[k]
        if probe.defined:
            measures = (probe, retrieval(rows, labels, seed=seed)["mAP"], rank)
    return Choice(layer, pooling, rows.shape[1], measures)


def _compared(
    choices: Sequence[Choice], found: dict[str, Features], own: Features, k: int, seed: int
) -> list[Choice]:
    """The choices with their paired test against the embedding, on the images that both have."""
    place = {name: row for row, name in enumerate(own.ids)}
    if own.labels is None or any(choice.measures[0].per_item is None for choice in choices):
        return list(choices)
    base = knn_probe(own.vectors, own.labels, ks=(k,), seed=seed)[k]
    if base.per_item is None:
        return list(choices)
    tests = []
    for choice, features in zip(choices, found.values(), strict=True):
        at = [(i, place[name]) for i, name in enumerate(features.ids) if name in place]
        mine, theirs = ([pair[side] for pair in at] for side in (0, 1))
        probe = choice.measures[0]
        assert probe.per_item is not None
        a = replace(probe, per_item=probe.per_item[mine])
        b = replace(base, per_item=base.per_item[theirs])
        tests.append(paired(a, b, names=(f"{choice.layer} {choice.pooling}", EMBEDDING), seed=seed))
    return [replace(choice, against=test) for choice, test in zip(choices, holm(tests), strict=True)]
