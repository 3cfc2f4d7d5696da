"""Read or replace what named layers give, with hooks that live only inside a `with`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from featurelens.backbone.find_layer import find_layer
from featurelens.backbone.hooks import mine
from featurelens.backbone.nested import map_tensors
from featurelens.errors import LayerError


@contextmanager
def tap(
    module: nn.Module,
    names: Sequence[str],
    *,
    stop_after: bool = False,
    detach: bool = False,
    require_grad: bool = False,
) -> Iterator[Tapped]:
    """Read the outputs of named layers during the last forward pass.

    `read["layer1"]` is what the layer gave at its last call, `read["layer1@0"]` at its first: a module can
    run several times. The name "" is the network itself. Values are those of the moment, also where a later
    layer works in place, and lie on the path of gradients (`detach=True`: neither). `require_grad=True` makes
    a value need a gradient where nothing before it does. `stop_after=True` ends the pass as soon as all
    that was asked for is there; how often a plain name runs is learnt from a first, whole pass, so name the
    call ("layer1@0") to stop at once. Raises LayerError for a layer that is not there or did not run.

    >>> net = nn.Sequential(nn.Linear(2, 3), nn.ReLU(inplace=True))
    >>> with tap(net, ["0"]) as read:
    ...     _ = net(torch.ones(1, 2))
    >>> read["0"].shape
    torch.Size([1, 3])
    """
    read = Tapped(module, names, stop_after)

    def keep(tensor: Tensor) -> Tensor:
        if detach:
            return tensor.detach().clone()
        if require_grad and not tensor.requires_grad and torch.is_grad_enabled():
            return tensor.detach().requires_grad_()
        return tensor

    def on_output(layer: str, output: Any) -> Any:
        kept = map_tensors(keep, output)
        read._record(layer, kept)
        # The network goes on with a copy: the kept value stays as it is when the next layer works in place.
        return output if detach else map_tensors(torch.clone, kept)

    with _hooks(module, read._layers, on_output, read._start, read._finish):
        try:
            yield read
        except _Stop as stop:
            if stop.read is not read:
                raise


@contextmanager
def alter(module: nn.Module, changes: Mapping[str, Callable[[Any], Any]]) -> Iterator[None]:
    """Replace the outputs of named layers: each function takes the output and returns what goes on instead.

    A name alone stands for every call of its layer, "name@k" for call k (from 0) of a pass through the
    network itself. Inside `tap`, what is tapped later sees the altered value. Raises LayerError for a layer
    that is not there and for a function that returns None.

    >>> net = nn.Sequential(nn.Identity(), nn.Identity())
    >>> with alter(net, {"0": lambda x: x * 0}):
    ...     net(torch.ones(2)).sum().item()
    0.0
    """
    wanted = {name: find_layer(module, name) for name in changes}
    calls: dict[str, int] = defaultdict(int)

    def on_output(layer: str, output: Any) -> Any:
        call = calls[layer]
        calls[layer] += 1
        for name, (of_layer, at) in wanted.items():
            if of_layer == layer and at in (None, call):
                output = changes[name](output)
                if output is None:
                    raise LayerError(
                        f"The change for the layer '{name}' returned None; return the new output."
                    )
        return output

    layers = {layer for layer, _ in wanted.values()}
    with _hooks(module, layers, on_output, calls.clear, lambda: None):
        yield


class Tapped(Mapping[str, Any]):
    """What a `tap` read: a mapping from the asked names to outputs, filled by each forward pass."""

    def __init__(self, module: nn.Module, names: Sequence[str], stop_after: bool) -> None:
        if isinstance(names, str):
            raise LayerError(f"Pass a list of layer names, not the single name '{names}'.")
        self._module = module
        self._wanted = {name: find_layer(module, name) for name in names}
        self._layers = {layer for layer, _ in self._wanted.values()}
        self._stop_after = stop_after
        self._outputs: dict[str, list[Any]] = {}
        self._known: dict[str, int] = {}

    def run(self, *inputs: Any, forward: Callable[..., Any] | None = None) -> Any:
        """One pass, by default of the whole network; returns its output, or None if it stopped early."""
        self._start()
        try:
            output = (forward or self._module)(*inputs)
        except _Stop as stop:
            if stop.read is not self:
                raise
            return None
        self._finish()
        return output

    def calls(self, name: str) -> list[Any]:
        """The outputs of all calls of a layer in the last pass, first call first."""
        layer, _ = find_layer(self._module, name)
        if not self._outputs.get(layer):
            raise LayerError(
                f"The layer '{name}' did not run. Run the network inside the `with` first; if you did, this "
                "layer takes no part in its pass (some serve only training, some are computed by the layer "
                "around them). `layers(module, sample)` lists those that run."
            )
        return self._outputs[layer]

    def __getitem__(self, name: str) -> Any:
        layer, call = self._wanted.get(name) or find_layer(self._module, name)
        if layer not in self._layers:
            raise LayerError(f"The layer '{name}' is not tapped; tapped are: {', '.join(self._wanted)}.")
        outputs = self.calls(layer)
        if call is not None and call >= len(outputs):
            raise LayerError(
                f"The layer '{layer}' ran {len(outputs)} times; there is no call {call} (from 0)."
            )
        return outputs[-1 if call is None else call]

    def __iter__(self) -> Iterator[str]:
        return iter(self._wanted)

    def __len__(self) -> int:
        return len(self._wanted)

    def _start(self) -> None:
        self._outputs = {}

    def _finish(self) -> None:
        self._known = {layer: len(outputs) for layer, outputs in self._outputs.items()}

    def _record(self, layer: str, output: Any) -> None:
        self._outputs.setdefault(layer, []).append(output)
        if self._stop_after and all(self._has(*wanted) for wanted in self._wanted.values()):
            raise _Stop(self)

    def _has(self, layer: str, call: int | None) -> bool:
        needed = self._known.get(layer) if call is None else call + 1
        return needed is not None and len(self._outputs.get(layer, ())) >= needed


class _Stop(BaseException):
    """Ends a pass whose remaining layers nobody needs; never leaves `tap` or `Tapped.run`."""

    def __init__(self, read: Tapped) -> None:
        self.read = read


@contextmanager
def _hooks(
    module: nn.Module,
    layers: set[str],
    on_output: Callable[[str, Any], Any],
    on_start: Callable[[], None],
    on_finish: Callable[[], None],
) -> Iterator[None]:
    def watch(layer: str) -> Callable[..., Any]:
        return mine(lambda _module, _inputs, output: on_output(layer, output))

    with ExitStack() as handles:
        handles.callback(module.register_forward_pre_hook(mine(lambda *_: on_start()), prepend=True).remove)
        for layer in layers:
            handles.callback(module.get_submodule(layer).register_forward_hook(watch(layer)).remove)
        handles.callback(module.register_forward_hook(mine(lambda *_: on_finish())).remove)
        yield
