"""Which sets of vectors one pass makes: every layer under every pooling, from one run of the network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from featurelens.backbone.protocol import Backbone, Spec
from featurelens.errors import InvalidInput
from featurelens.features.parts import EMBEDDING
from featurelens.features.pooling import check_pooling, pool
from featurelens.features.tapped import Work, layer_work
from featurelens.shapes import Float, UInt8

OWN = "own"


@dataclass(frozen=True)
class Wanted:
    """One set: `layer` is None for what the backbone itself gives, `pooling` "own" for its embedding."""

    layer: str | None
    pooling: str


def wanted_sets(layers: Sequence[str] | None, pooling: str | Sequence[str] | None) -> dict[str, Wanted]:
    """The sets by name; InvalidInput for none, for one that is asked for twice and for unknown poolings.

    >>> list(wanted_sets(["layer3", "layer4"], ["avg", "gem"]))
    ['layer3 avg', 'layer3 gem', 'layer4 avg', 'layer4 gem']
    >>> list(wanted_sets(None, None)), list(wanted_sets(["layer4"], "max"))
    (['embedding'], ['layer4'])
    """
    for what, given in (("layers", layers), ("pooling", pooling)):
        if given is not None and not isinstance(given, str) and (not given or len(set(given)) != len(given)):
            raise InvalidInput(f"{what}={list(given)}: give at least one, and each only once.")
    if pooling is None:
        return {one or EMBEDDING: Wanted(one, "avg" if one else OWN) for one in layers or [None]}
    for how in [pooling] if isinstance(pooling, str) else pooling:
        check_pooling(how)
    if isinstance(pooling, str):
        return {one or EMBEDDING: Wanted(one, pooling) for one in layers or [None]}
    return {f"{one or 'maps'} {how}": Wanted(one, how) for one in layers or [None] for how in pooling}


def work_for(backbone: Backbone, wanted: Mapping[str, Wanted]) -> Work:
    """A function from pixels to the arrays of all sets; the network runs once per batch."""
    first = next(iter(wanted.values()))
    if first.layer is not None:
        return layer_work(backbone, {name: (str(one.layer), one.pooling) for name, one in wanted.items()})
    if first.pooling == OWN:
        return lambda pixels: {EMBEDDING: backbone.embed(pixels)}

    def work(pixels: UInt8[np.ndarray, "batch row col 3"]) -> dict[str, Float[np.ndarray, "batch _"]]:
        maps = backbone.maps(pixels)
        return {name: pool(maps, one.pooling) for name, one in wanted.items()}

    return work


def specs_of(spec: Spec, work: Work, wanted: Mapping[str, Wanted]) -> dict[str, Spec]:
    """The Spec of each set; one black image tells the dimensions of all but the backbone's own embedding."""
    if [one.pooling for one in wanted.values()] == [OWN]:
        return {EMBEDDING: spec}
    outputs = work(np.zeros((1, spec.fit.rows, spec.fit.cols, 3), np.uint8))
    return {
        name: replace(
            spec,
            name=f"{spec.name} {one.layer or 'maps'} {one.pooling}",
            weights=f"{spec.weights} {one.layer or EMBEDDING} {one.pooling}",  # decides the fingerprint
            dim=outputs[name].shape[1],
            map_channels=0,
        )
        for name, one in wanted.items()
    }
