"""How each layer's output is laid out, found by looking at which axes grow with what.

An axis that grows with the batch is the batch, one that grows with the height is rows, with the width
columns, with both tokens; one that never grows holds channels. From four sizes the number of prefix tokens
follows exactly: tokens minus prefix = rows × columns has rank one in (height, width).
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from featurelens.backbone.find_layer import find_layer
from featurelens.backbone.layout_guess import grid_of, guess_layout
from featurelens.backbone.shape_probe import Forward, Shape, probe_shapes
from featurelens.backbone.token_grid import NCHW, Axis, Grid, Layout
from featurelens.backbone.token_order import in_rows
from featurelens.errors import LayerError

_GROWTH: dict[tuple[bool, bool, bool], Axis] = {
    (True, False, False): "batch",
    (False, True, False): "row",
    (False, False, True): "col",
    (False, True, True): "token",
    (False, False, False): "channel",
}


def layout_of(
    module: nn.Module, name: str, size: Grid, *, forward: Forward | None = None, channels: int = 3
) -> Layout:
    """The layout of one layer that gives one tensor; the name "" means what `forward` itself returns.

    >>> layout_of(nn.Sequential(nn.Conv2d(3, 8, 3)), "0", (32, 48)).axes
    ('batch', 'channel', 'row', 'col')
    """
    found = layouts(module, [name], size, forward=forward, channels=channels)[name]
    if len(found) != 1:
        raise LayerError(
            f"The layer '{name}' gives {len(found)} tensors. Use layouts() and choose one."
            if found
            else f"The layer '{name}' does not run, so its layout is unknown."
        )
    return found[0]


def layouts(
    module: nn.Module,
    names: Sequence[str],
    size: Grid,
    *,
    forward: Forward | None = None,
    channels: int = 3,
) -> dict[str, tuple[Layout, ...]]:
    """For each layer the layout of every tensor it gives at an input of `size` = (rows, columns).

    Runs a weightless copy, not the module. A layer that does not run has no layouts (an empty tuple); an
    axis that cannot be told is "unknown", as where windows are joined with the batch. A network that takes
    one size only is rebuilt at others (timm), else its shapes must tell. Raises LayerError for an unknown
    layer or a size that the network does not take.
    """
    probed = probe_shapes(module, names, size, forward=forward, channels=channels)
    found: dict[str, tuple[Layout, ...]] = {}
    for name in names:
        layer, _ = find_layer(module, name)
        part = module.get_submodule(layer)
        of_sizes = [shapes[name] for shapes in (probed.base, probed.batch, *(probed.grown or ()))]
        told = []
        for shape, *others in zip(*of_sizes, strict=False):
            if any(len(other) != len(shape) for other in others):
                layout = Layout(("unknown",) * len(shape))
            elif probed.grown is None:
                layout = guess_layout(part, shape, others[0], size, module)
            else:
                layout = _layout(shape, others, size, part, layer)
            told.append(in_rows(module, layer, shape, layout))
        found[name] = tuple(told)
    return found


def _layout(base: Shape, others: list[Shape], size: Grid, part: nn.Module, name: str) -> Layout:
    axes: list[Axis] = []
    for n, batch, tall, wide, _ in zip(base, *others, strict=True):
        axis = _GROWTH.get((batch != n, tall != n, wide != n), "unknown")
        if axis == "batch" and (n, batch) != (2, 3):
            axis = "unknown"  # the batch times a number of windows or heads
        axes.append(axis)
    if axes == ["batch", "channel", "channel", "channel"] and (not name or _makes_planes(part)):
        return NCHW  # a pooling to a fixed size
    if axes.count("token") != 1:
        return Layout(tuple(axes))
    t = axes.index("token")
    base_n, _, tall_n, wide_n, both_n = (shape[t] for shape in (base, *others))
    numerator, denominator = base_n * both_n - tall_n * wide_n, base_n + both_n - tall_n - wide_n
    prefix = numerator // denominator if denominator else -1
    if denominator == 0 or numerator % denominator or not 0 <= prefix < base_n:
        axes[t] = "unknown"
        return Layout(tuple(axes))
    return Layout(tuple(axes), prefix, grid_of(base_n - prefix, size))


def _makes_planes(part: nn.Module) -> bool:
    return isinstance(part, nn.Conv2d | nn.BatchNorm2d) or "pool" in type(part).__name__.lower()
