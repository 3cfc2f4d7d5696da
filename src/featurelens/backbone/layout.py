"""How each layer's output is laid out, found by running shapes only (no arithmetic) at several sizes.

An axis that grows with the batch is the batch, one that grows with the height is rows, with the width
columns, with both tokens; one that never grows holds channels. From four sizes the number of prefix tokens
follows exactly: tokens minus prefix = rows × columns has rank one in (height, width).
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from featurelens.backbone.nested import tensors
from featurelens.backbone.token_grid import Axis, Grid, Layout
from featurelens.errors import LayerError

Forward = Callable[[nn.Module, Tensor], Any]
Shapes = dict[str, list[tuple[int, ...]]]
_PROBE_FAILURES = (RuntimeError, AssertionError, ValueError, TypeError, AttributeError, IndexError, KeyError)


def layout_of(
    module: nn.Module, name: str, size: Grid, *, forward: Forward | None = None, channels: int = 3
) -> Layout:
    """The layout of one layer that gives one tensor; the name "" means what `forward` itself returns.

    >>> layout_of(nn.Sequential(nn.Conv2d(3, 8, 3)), "0", (32, 48)).axes
    ('batch', 'channel', 'row', 'col')
    """
    found = layouts(module, [name], size, forward=forward, channels=channels)[name]
    if len(found) != 1:
        raise LayerError(f"The layer '{name}' gives {len(found)} tensors; use layouts() and choose one.")
    return found[0]


def layouts(
    module: nn.Module,
    names: Sequence[str],
    size: Grid,
    *,
    forward: Forward | None = None,
    channels: int = 3,
) -> dict[str, tuple[Layout, ...]]:
    """For each layer the layout of every tensor it gives, at an input of `size` = (rows, columns).

    Works on a weightless copy of the module on the meta device: the module itself is not run.
    """
    rows, cols = size
    probes = [
        (2, rows, cols),
        (3, rows, cols),
        (2, 2 * rows, cols),
        (2, rows, 2 * cols),
        (2, 2 * rows, 2 * cols),
    ]
    run = forward or (lambda net, x: net(x))
    base = _shapes(module, names, probes[0], run, channels)
    try:
        shapes = [base, *(_shapes(module, names, p, run, channels) for p in probes[1:])]
    except _PROBE_FAILURES as error:
        raise LayerError(f"cannot resize {type(module).__name__}: {error}") from error
    return {
        name: tuple(_layout([s[name][i] for s in shapes], size) for i in range(len(base[name])))
        for name in names
    }


def _shapes(module: nn.Module, names: Sequence[str], probe: Grid3, run: Forward, channels: int) -> Shapes:
    net = weightless(module)
    batch, rows, cols = probe
    found: Shapes = {}

    def note(name: str) -> Callable[..., None]:
        def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
            found[name] = [tuple(t.shape) for t in tensors(output)]

        return hook

    for name in names:
        if name:
            net.get_submodule(name).register_forward_hook(note(name))
    if hasattr(net, "set_input_size"):
        cast(Any, net).set_input_size((rows, cols))
    with torch.no_grad():
        found[""] = [
            tuple(t.shape) for t in tensors(run(net, torch.empty(batch, channels, rows, cols, device="meta")))
        ]
    return found


Grid3 = tuple[int, int, int]


def weightless(module: nn.Module) -> nn.Module:
    """A copy in eval mode whose parameters, buffers and other tensors hold no memory (device meta)."""
    memo: dict[int, Any] = {}
    for part in module.modules():
        for value in vars(part).values():
            for tensor in tensors(value):
                empty = tensor.detach().to("meta")
                memo[id(tensor)] = nn.Parameter(empty) if isinstance(tensor, nn.Parameter) else empty
    return copy.deepcopy(module, memo).eval()


def _layout(shapes: list[tuple[int, ...]], size: Grid) -> Layout:
    base, batch, tall, wide, both = shapes
    axes: list[Axis] = []
    for i, n in enumerate(base):
        grows = (batch[i] != n, tall[i] != n, wide[i] != n)
        kinds: dict[tuple[bool, bool, bool], Axis] = {
            (True, False, False): "batch",
            (False, True, False): "row",
            (False, False, True): "col",
            (False, True, True): "token",
            (False, False, False): "channel",
        }
        if grows not in kinds:
            return Layout(tuple("token" for _ in base))
        axes.append(kinds[grows])
    if axes == ["batch", "channel", "channel", "channel"]:
        axes[2:] = ["row", "col"]
    if axes.count("token") != 1:
        return Layout(tuple(axes))
    t = axes.index("token")
    prefix, grid = _token_grid(base[t], tall[t], wide[t], both[t], size)
    return Layout(tuple(axes), prefix, grid)


def _token_grid(base: int, tall: int, wide: int, both: int, size: Grid) -> tuple[int, Grid]:
    numerator, denominator = base * both - tall * wide, base + both - tall - wide
    if denominator == 0 or numerator % denominator:
        raise LayerError(f"Token counts {base}, {tall}, {wide}, {both} do not come from a grid.")
    prefix = numerator // denominator
    places = base - prefix
    pairs = [(r, places // r) for r in range(1, places + 1) if places % r == 0]
    return prefix, min(pairs, key=lambda g: abs(math.log(g[0] * size[1] / (g[1] * size[0]))))
