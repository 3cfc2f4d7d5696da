"""The layers of a network in the order in which they run, with what they give."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from featurelens.backbone.nested import tensors
from featurelens.backbone.untouched import untouched
from featurelens.errors import LayerError

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Layer:
    """One layer: its name for `tap`, its class, what it gives, how many parameters it holds in all.

    `shape` is that of the first tensor of the last call, with the sample's batch size; `shapes` are those
    of all its tensors. `calls` is how often it runs in one pass; 0: it takes no part.
    """

    name: str
    kind: str
    shape: Shape
    parameters: int
    calls: int
    shapes: tuple[Shape, ...] = ()

    def __str__(self) -> str:
        shapes = ", ".join(" × ".join(map(str, shape)) for shape in self.shapes) or "-"
        again = f"  ran {self.calls} times" if self.calls > 1 else "  did not run" if self.calls == 0 else ""
        return f"{self.name:<40} {self.kind:<24} {shapes:<24} {self.parameters:>12,}{again}"


class Layers(list[Layer]):
    """A list of layers that prints as a table, made only when it is asked for."""

    def __str__(self) -> str:
        return "\n".join(str(layer) for layer in self)

    __repr__ = __str__


def layers(
    module: nn.Module,
    sample: Tensor,
    *,
    idle: bool = False,
    forward: Callable[[nn.Module, Tensor], Any] | None = None,
) -> Layers:
    """Run the network once on `sample` (normalised, `[batch, channel, row, col]`) and list what ran.

    A layer that holds others stands before them. Layers that take no part are left out, or, with `idle`,
    stand at the end with 0 calls. Raises LayerError when the network cannot run on the sample.

    >>> print(layers(nn.Sequential(nn.Conv2d(3, 8, 3)), torch.zeros(1, 3, 8, 8))[0].shape)
    (1, 8, 6, 6)
    """
    names = {part: name for name, part in module.named_modules() if name}
    order: dict[nn.Module, int] = {}
    shapes: dict[nn.Module, tuple[Shape, ...]] = {}

    def start(part: nn.Module, _inputs: Any) -> None:
        order.setdefault(part, 0)

    def finish(part: nn.Module, _inputs: Any, output: Any) -> None:
        order[part] += 1
        shapes[part] = tuple(tuple(tensor.shape) for tensor in tensors(output))

    run = forward or (lambda net, x: net(x))
    with untouched(module), torch.no_grad():
        for part in names:
            part.register_forward_pre_hook(start)  # `untouched` takes the hooks away again
            part.register_forward_hook(finish)
        try:
            run(module, sample)
        except (RuntimeError, AssertionError, ValueError) as error:
            told = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
            raise LayerError(
                f"{type(module).__name__} does not run on a sample of shape {tuple(sample.shape)}: {told}. "
                "Pass a sample of the size that the network was made for."
            ) from error
    ran = [part for part in order if part in names]
    rest = [part for part in names if part not in order] if idle else []
    return Layers(_layer(names[part], part, shapes.get(part, ()), order.get(part, 0)) for part in ran + rest)


def _layer(name: str, part: nn.Module, shapes: tuple[Shape, ...], calls: int) -> Layer:
    count = sum(p.numel() for p in part.parameters())
    return Layer(name, type(part).__name__, shapes[0] if shapes else (), count, calls, shapes)
