"""Which layers of a network are worth trying, for those who do not know its names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from featurelens.errors import InvalidInput

AUTO = "auto"


def layers_to_try(backbone: Any, asked: Sequence[str], *, most: int = 6) -> list[str]:
    """The layers asked for; "auto" stands for up to `most` stages or blocks, spread over the depth.

    Blocks are the layers with maps or tokens that are numbered alike (`layer1`, `blocks.0`, `features.3`);
    of several such rows the one that holds most parameters is taken. Raises InvalidInput for a backbone that shows no layers.

    >>> layers_to_try(None, ["layer3", "layer4"])
    ['layer3', 'layer4']
    """
    if AUTO not in asked:
        return list(asked)
    listed = getattr(backbone, "layers", None)
    if listed is None:
        raise InvalidInput(
            f"'{backbone.spec.name}' shows no layers, so none can be tried; leave --layers out or name a "
            "timm or torchvision network."
        )
    mapped = [layer for layer in listed() if layer.calls == 1 and len(layer.shape) > 2]
    found = spread([(layer.name, layer.parameters) for layer in mapped], most)
    return [*(name for name in asked if name != AUTO), *(name for name in found if name not in asked)]


def spread(layers: Sequence[tuple[str, int]], most: int) -> list[str]:
    """At most `most` of the numbered layers (name, parameters) that lie least deep and hold most.

    >>> spread([("stem", 9), ("layer1", 5), ("layer1.0", 5), ("layer2", 7), ("layer3", 9), ("fc", 30)], 2)
    ['layer1', 'layer3']
    """
    rows: dict[str, list[tuple[str, int]]] = {}
    for name, parameters in layers:
        numbered = re.fullmatch(r"(.*?)\d+", name)
        if numbered:
            rows.setdefault(numbered.group(1), []).append((name, parameters))
    rows = {stem: row for stem, row in rows.items() if len(row) > 1}
    if not rows:
        return [name for name, _ in layers[-1:]]
    best = max(rows, key=lambda stem: (sum(p for _, p in rows[stem]), -stem.count(".")))
    names = [name for name, _ in rows[best]]
    if len(names) <= most:
        return names
    last = len(names) - 1
    return [names[round(i * last / (most - 1))] for i in range(most)]
