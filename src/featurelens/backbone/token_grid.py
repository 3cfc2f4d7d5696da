"""Any layer's output as one spatial map: convolutional, channels-last and token-sequence networks alike."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor

from featurelens.backbone.nested import tensors
from featurelens.errors import BackboneError, LayerError

Axis = Literal["batch", "channel", "row", "col", "token", "unknown"]
Grid = tuple[int, int]


@dataclass(frozen=True)
class Layout:
    """What each axis of an output means; `grid` and `prefix_tokens` describe the token axis, if any.

    Several channel axes (heads × width) are flattened into one. `arrange` puts tokens of networks that
    keep them in another order than row by row (Hiera, NesT) back into rows.
    """

    axes: tuple[Axis, ...]
    prefix_tokens: int = 0
    grid: Grid | None = None
    arrange: Callable[[Tensor], Tensor] | None = None

    @property
    def spatial(self) -> bool:
        """Whether the output has places: rows and columns, or one axis of tokens."""
        return self.arrange is not None or sorted(set(self.axes) - {"batch", "channel"}) in (
            ["col", "row"],
            ["token"],
        )


NCHW = Layout(("batch", "channel", "row", "col"))
NHWC = Layout(("batch", "row", "col", "channel"))


def as_map(
    output: Any,
    *,
    prefix_tokens: int = 0,
    grid: Grid | None = None,
    channels_last: bool | None = None,
    layout: Layout | None = None,
) -> Tensor:
    """The output of a layer as `[batch, channel, row, col]`; prefix tokens (class, register) are dropped.

    Pass the `layout` that `featurelens.backbone.layout.layouts` found for the layer; without it the other
    arguments must leave no doubt: a token sequence `[batch, token, channel]` needs `grid` unless it is
    square, a 4-axis output needs `channels_last` unless its two equal axes tell.

    >>> import torch
    >>> as_map(torch.zeros(2, 1 + 4 * 6, 8), prefix_tokens=1, grid=(4, 6)).shape
    torch.Size([2, 8, 4, 6])
    """
    x = only_tensor(output)
    if layout is None:
        layout = _layout_of_shape(tuple(x.shape), prefix_tokens, grid, channels_last)
    if layout.arrange is not None:
        return layout.arrange(x)
    if len(layout.axes) != x.ndim:
        raise LayerError(f"An output of shape {tuple(x.shape)} does not have the axes {layout.axes}.")
    if not layout.spatial or "batch" not in layout.axes:
        raise LayerError(
            f"The shape {tuple(x.shape)} with the axes {layout.axes} has no places to draw a map of: "
            "it is a vector, a matrix of token pairs, or is cut into windows. Choose the layer around it."
        )
    order = [i for kind in ("batch", "channel", "row", "col", "token") for i in _where(layout.axes, kind)]
    x = x.permute(order)
    places = 1 if "token" in layout.axes else 2
    x = x.reshape(x.shape[0], math.prod(x.shape[1 : x.ndim - places]), *x.shape[x.ndim - places :])
    if places == 2:
        return x
    rows, cols = layout.grid or (0, 0)
    if x.shape[2] != layout.prefix_tokens + rows * cols:
        raise LayerError(
            f"{x.shape[2]} tokens are not {layout.prefix_tokens} prefix tokens + a grid of {rows} × {cols}. "
            "Pass prefix_tokens= and grid=(rows, cols), or a layout found at this input size."
        )
    return x[:, :, layout.prefix_tokens :].unflatten(2, (rows, cols))


def from_map(maps: Tensor, layout: Layout) -> Tensor:
    """The inverse of `as_map`; BackboneError for layouts that hold more than the map (class tokens) or another order.

    >>> import torch
    >>> from_map(torch.zeros(2, 8, 4, 6), NHWC).shape
    torch.Size([2, 4, 6, 8])
    """
    axes = layout.axes
    if layout.arrange is not None or layout.prefix_tokens or sorted(axes) not in _ONE_OF_EACH:
        raise BackboneError(f"An output with the axes {axes} cannot be made from its map alone.")
    if "token" in axes:
        maps = maps.flatten(2)
    order = ("batch", "channel", "token") if "token" in axes else ("batch", "channel", "row", "col")
    return maps.permute([order.index(axis) for axis in axes])


_ONE_OF_EACH = (["batch", "channel", "token"], ["batch", "channel", "col", "row"])


def only_tensor(output: Any) -> Tensor:
    """The one tensor in an output, also inside a tuple, list or dictionary; LayerError if not just one."""
    found = tensors(output)
    if len(found) != 1:
        shapes = ", ".join(str(tuple(t.shape)) for t in found) or "none"
        raise LayerError(
            f"A map needs one tensor; this output holds {len(found)} ({shapes}). Choose one of them."
        )
    return found[0]


def _where(axes: tuple[Axis, ...], kind: str) -> list[int]:
    return [i for i, axis in enumerate(axes) if axis == kind]


def _layout_of_shape(
    shape: tuple[int, ...], prefix_tokens: int, grid: Grid | None, channels_last: bool | None
) -> Layout:
    if len(shape) == 3:
        tokens = shape[1] - prefix_tokens
        if grid is None:
            side = math.isqrt(max(tokens, 0))
            if side * side != tokens or tokens < 1:
                raise LayerError(
                    f"{tokens} tokens are not a square grid. Pass grid=(rows, cols) or prefix_tokens=."
                )
            grid = (side, side)
        return Layout(("batch", "token", "channel"), prefix_tokens, grid)
    if len(shape) == 4:
        if channels_last is None:
            last = shape[2:] == grid if grid else shape[2] == shape[3]
            first = shape[1:3] == grid if grid else shape[1] == shape[2]
            if first == last:
                raise LayerError(
                    f"The shape {shape} does not tell which axis holds the channels. Pass channels_last=True "
                    "or False, or a layout."
                )
            channels_last = first
        return NHWC if channels_last else NCHW
    raise LayerError(
        f"A map needs 3 or 4 axes (batch, tokens, channels or batch, channels, rows, columns), not {shape}."
    )
