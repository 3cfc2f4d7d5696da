"""The shapes that layers give at several input sizes, found without arithmetic on weightless copies."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from featurelens.backbone.find_layer import find_layer
from featurelens.backbone.nested import tensors
from featurelens.backbone.shapes_only import ShapesOnly
from featurelens.backbone.untouched import untouched
from featurelens.errors import LayerError

Shape = tuple[int, ...]
Shapes = dict[str, list[Shape]]
Forward = Callable[[nn.Module, Tensor], Any]

# What networks raise when an input does not fit them; torch's own assertions and view errors among them.
_FAILURES = (RuntimeError, AssertionError, ValueError, TypeError, AttributeError, IndexError, KeyError)


@dataclass(frozen=True)
class Probed:
    """The shapes at two images of the given size, at three, and at twice the rows, columns and both.

    `grown` is None where the network takes one size only and cannot be built for another.
    """

    base: Shapes
    batch: Shapes
    grown: tuple[Shapes, Shapes, Shapes] | None


def probe_shapes(
    module: nn.Module,
    names: Sequence[str],
    size: tuple[int, int],
    *,
    forward: Forward | None = None,
    channels: int = 3,
) -> Probed:
    """The shapes of all tensors that each named layer gives; LayerError if `size` does not fit the network.

    A layer that does not run gives none; the name "" is what `forward` returns. Only copies are asked to
    change their size (timm's `set_input_size`), or are built for it anew.
    """
    wanted = {name: find_layer(module, name) for name in names}
    run = forward or (lambda net, x: net(x))
    rows, cols = size
    dtype = next((p.dtype for p in module.parameters() if p.is_floating_point()), torch.float32)

    def shapes(net: nn.Module, batch: int, rows: int, cols: int) -> Shapes:
        x = torch.empty(batch, channels, rows, cols, dtype=dtype, device="meta")
        try:
            return _shapes(net, wanted, x, run)
        except _FAILURES:
            if not hasattr(net, "set_input_size"):
                raise
            cast(Any, net).set_input_size((rows, cols))
            return _shapes(net, wanted, x, run)

    try:
        net = weightless(module)
        base, batch = shapes(net, 2, rows, cols), shapes(net, 3, rows, cols)
    except _FAILURES as error:
        told = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
        raise LayerError(
            f"A copy of {type(module).__name__} without its weights does not run on an input of {rows} × {cols} pixels: "
            f"{told}. Pass the size that it was made for; its steps must not depend on values."
        ) from error
    larger = [(2 * rows, cols), (rows, 2 * cols), (2 * rows, 2 * cols)]
    try:
        tall, wide, both = (shapes(net, 2, *grid) for grid in larger)
        return Probed(base, batch, (tall, wide, both))
    except _FAILURES:
        pass
    try:
        same, tall, wide, both = (shapes(_rebuilt(module, grid), 2, *grid) for grid in (size, *larger))
    except _FAILURES:
        return Probed(base, batch, None)
    # Options that the network was built with are not known here: the copy must first give the same shapes.
    return Probed(base, batch, (tall, wide, both) if same == base else None)


def _shapes(net: nn.Module, wanted: dict[str, tuple[str, int | None]], x: Tensor, run: Forward) -> Shapes:
    calls: dict[str, list[list[Shape]]] = {layer: [] for layer, _ in wanted.values()}

    def note(layer: str) -> Callable[..., None]:
        return lambda _module, _inputs, output: calls[layer].append([tuple(t.shape) for t in tensors(output)])

    with untouched(net), torch.no_grad(), ShapesOnly():
        for layer in calls:
            if layer:
                net.get_submodule(layer).register_forward_hook(note(layer))  # `untouched` takes it away
        output = run(net, x)
    calls[""] = [[tuple(t.shape) for t in tensors(output)]]

    def of_call(layer: str, call: int | None) -> list[Shape]:
        at = len(calls[layer]) - 1 if call is None else call
        return calls[layer][at] if 0 <= at < len(calls[layer]) else []

    return {name: of_call(*where) for name, where in wanted.items()}


def weightless(module: nn.Module) -> nn.Module:
    """A copy in eval mode whose parameters, buffers and other tensors hold no memory (device meta)."""
    memo: dict[int, Any] = {}
    for part in module.modules():
        for value in vars(part).values():
            for tensor in tensors(value):
                empty = tensor.detach().to("meta")
                memo[id(tensor)] = nn.Parameter(empty, False) if isinstance(tensor, nn.Parameter) else empty
    net = copy.deepcopy(module, memo).eval()
    for part in net.modules():
        if isinstance(part, nn.RNNBase):
            part.forward = _recurrent(part)  # on the meta device torch would unroll every step
    return net


def _recurrent(part: nn.RNNBase) -> Callable[..., Any]:
    width = (part.proj_size or part.hidden_size) * (2 if part.bidirectional else 1)
    return lambda x, *_: (x.new_empty(*x.shape[:-1], width), None)


def _rebuilt(module: nn.Module, size: tuple[int, int]) -> nn.Module:
    """The same timm architecture for inputs of `size`, on the meta device; ValueError for other networks."""
    config: Any = getattr(module, "pretrained_cfg", None) or {}
    if not type(module).__module__.startswith("timm.") or not config.get("architecture"):
        raise ValueError("only timm's networks can be built anew")
    import timm

    options: Any = {"pretrained": False, "num_classes": getattr(module, "num_classes", 0)}
    with torch.device("meta"), ShapesOnly():
        try:
            return timm.create_model(config["architecture"], img_size=size, **options).eval()
        except _FAILURES:
            if size[0] != size[1]:
                raise
            return timm.create_model(config["architecture"], img_size=size[0], **options).eval()
