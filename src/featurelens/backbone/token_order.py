"""Networks that keep tokens in another order than row by row, put back into rows."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

from torch import Tensor, nn

from featurelens.backbone.token_grid import Layout


def in_rows(network: nn.Module, name: str, shape: tuple[int, ...], layout: Layout) -> Layout:
    """The layout of this layer with the way back into rows, for Hiera and NesT; else the layout as it is."""
    arrange = None
    if _is(network, "hiera", "Hiera"):
        arrange = _rolled(cast(Any, network), name, shape)
    elif _is(network, "nest", "Nest"):
        arrange = _blocked(cast(Any, network), name, shape)
    return replace(layout, arrange=arrange, axes=_AXES[len(shape)]) if arrange else layout


_AXES: Any = {3: ("batch", "token", "channel"), 4: ("batch", "token", "token", "channel")}


def _is(network: nn.Module, file: str, name: str) -> bool:
    return type(network).__module__ == f"timm.models.{file}" and type(network).__name__ == name


def _rolled(network: Any, name: str, shape: tuple[int, ...]) -> Callable[[Tensor], Tensor] | None:
    """Hiera (Ryali et al., 2023) keeps mask units together; its own `reroll` undoes that."""
    head, _, rest = name.partition(".")
    if len(shape) != 3 or head not in ("unroll", "blocks") or (head == "blocks" and not rest):
        return None
    block = int(rest.partition(".")[0]) if rest else 0
    for at in (
        block,
        block - 1,
    ):  # the first half of a pooling block still has the tokens of the block before
        if at >= 0 and math.prod(network.reroll.schedule[at][1]) == shape[1]:
            return lambda x: network.reroll(x, at).permute(0, 3, 1, 2)
    return None


def _blocked(network: Any, name: str, shape: tuple[int, ...]) -> Callable[[Tensor], Tensor] | None:
    """NesT (Zhang et al., 2022) cuts the map into square blocks: [batch, block, token, channel]."""
    parts = name.split(".")
    if len(shape) != 4 or parts[:1] != ["levels"] or parts[2:3] != ["transformer_encoder"]:
        return None
    side = network.levels[int(parts[1])].block_size
    across = math.isqrt(shape[1])
    if shape[2] != side * side or across * across != shape[1]:
        return None

    def arrange(x: Tensor) -> Tensor:
        blocks = x.unflatten(2, (side, side)).unflatten(1, (across, across))
        return blocks.permute(0, 5, 1, 3, 2, 4).flatten(4, 5).flatten(2, 3)

    return arrange
