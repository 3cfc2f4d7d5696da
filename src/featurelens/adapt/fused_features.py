"""Several sets of Features of the same items as one: of layers, of backbones, of images with their texts and sounds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from featurelens.adapt.fusing import fuse, fused
from featurelens.errors import InvalidInput
from featurelens.features.table import Features
from featurelens.nn.fusion import Fusion


def fuse_features(kind: str, sets: Mapping[str, Features], **options: Any) -> tuple[Features, Fusion]:
    """The fused Features, and the fusion that made them, fitted on these very rows and their labels.

    `kind` and options as of `fuse`. To learn whether fusing helps, `featurelens.assess.fusion_gain` fits it in folds.
    Raises InvalidInput for sets of other ids (`featurelens.features.matched` brings them together).
    """
    first = next(iter(sets.values()))
    for name, features in sets.items():
        if features.ids != first.ids:
            raise InvalidInput(
                f"The features of '{name}' are not of the same items in the same order. Bring them together first: "
                "featurelens.features.matched(...)."
            )
    arrays = [one.vectors for one in sets.values()]
    fusion = fuse(kind, arrays, labels=first.labels, **options)
    rows = fused(fusion, arrays)
    modalities = dict.fromkeys(one.spec.modality for one in sets.values())
    spec = replace(
        first.spec,
        name=f"{' + '.join(one.spec.name for one in sets.values())} ({kind})",
        weights=f"{' '.join(one.spec.weights for one in sets.values())} {kind} {options.get('seed', 0)}",
        dim=rows.shape[1],
        text=False,
        modality=" + ".join(modalities),
    )
    made = Features.from_raw(first.ids, rows, spec, labels=first.labels)
    return Features(made.ids, made.vectors, made.spec, made.labels, first.skipped), fusion
