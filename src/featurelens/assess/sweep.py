"""Which layer, under which pooling, is best for these images?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from featurelens.assess.extraction import extract_kept
from featurelens.assess.layer_choice import layers_to_try
from featurelens.assess.probe_knn import knn_probe
from featurelens.assess.result import Measure
from featurelens.assess.retrieval import retrieval
from featurelens.assess.spectrum import rankme
from featurelens.backbone.protocol import Backbone
from featurelens.errors import InvalidInput
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
    cache: Path | None = None,
    k: int = 10,
    seed: int = 0,
    on_progress: Callable[[int, int], None] | None = None,
) -> list[Choice]:
    """Each layer (none: the backbone's last map) under each pooling, one pass per pooling, best first.

    "auto" among the layers stands for blocks spread over the depth. Ranked by kNN accuracy, without labels
    by RankMe. With `cache`, a folder, passes are kept and resumed. Layers need a torch backbone. Raises
    LayerError for a layer that is not there, InvalidInput when there is neither a layer nor a pooling.
    """
    if not layers and not poolings:
        raise InvalidInput("A sweep needs layers, poolings or both.")
    names = layers_to_try(backbone, layers)
    choices = []
    for number, pooling in enumerate(poolings or ["avg"]):
        passes = len(poolings or ["avg"])

        def tell(progress: object, number: int = number, passes: int = passes) -> None:
            done, total = progress.done, progress.total  # pyright: ignore[reportAttributeAccessIssue]
            if on_progress:
                on_progress(number * total + done, passes * total)

        found = extract_kept(
            images,
            backbone,
            store=cache and cache / "-".join(["sweep", pooling, *names])[:200].replace("/", "_"),
            layers=names or None,
            pooling=pooling,
            on_progress=tell,
        )
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
