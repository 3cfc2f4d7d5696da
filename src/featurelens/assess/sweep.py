"""Which layer, under which pooling, is best for these images?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from featurelens.assess.probe_knn import knn_probe
from featurelens.assess.result import Measure
from featurelens.assess.retrieval import retrieval
from featurelens.assess.spectrum import rankme
from featurelens.backbone.protocol import Backbone
from featurelens.errors import InvalidInput
from featurelens.features.extract import extract
from featurelens.features.table import Features

OWN = "(own)"


@dataclass(frozen=True)
class Choice:
    """One layer under one pooling, with the measures that rank it."""

    layer: str
    pooling: str
    dim: int
    measures: tuple[Measure, ...]


def sweep(
    images: Path,
    backbone: Backbone,
    layers: Sequence[str],
    poolings: Sequence[str],
    *,
    k: int = 10,
    seed: int = 0,
) -> list[Choice]:
    """Each layer (none: the backbone's last map) under each pooling, one pass per pooling, best first.

    Ranked by kNN accuracy, without labels by RankMe. Layers need a torch backbone. Raises LayerError for a
    layer that is not there, InvalidInput when there is neither a layer nor a pooling.
    """
    if not layers and not poolings:
        raise InvalidInput("A sweep needs layers, poolings or both.")
    choices = []
    for pooling in poolings or ["avg"]:
        found = extract(images, backbone, layers=list(layers) or None, pooling=pooling)
        sets = {OWN: found} if isinstance(found, Features) else found
        choices += [_choice(name, pooling, features, k, seed) for name, features in sets.items()]
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
