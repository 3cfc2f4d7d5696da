"""Where a network's last features have places, or why they have none."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from featurelens.backbone.layout import layouts
from featurelens.backbone.shape_probe import Forward
from featurelens.backbone.token_grid import Grid, Layout
from featurelens.errors import LayerError


@dataclass(frozen=True)
class Places:
    """How the last features are laid out; None where they are no map, with the reason in `why`."""

    layout: Layout | None
    why: str = ""


def places_of(module: nn.Module, size: Grid, *, features: Forward) -> Places:
    """The places of what `features` gives at inputs of `size` = (rows, columns); they follow from the architecture alone.

    >>> places_of(nn.Conv2d(3, 8, 3), (8, 8), features=lambda net, x: net(x).mean((2, 3))).why
    'its last features have the axes batch, channel'
    """
    try:
        found = layouts(module, [""], size, forward=features)[""]
    except LayerError as error:
        return Places(None, str(error))
    if len(found) != 1:
        return Places(None, f"its last features are {len(found)} tensors, not one")
    if not found[0].spatial:
        return Places(None, f"its last features have the axes {', '.join(found[0].axes)}")
    return Places(found[0])
