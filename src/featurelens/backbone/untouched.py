"""Work with a network and leave it bit for bit as it was."""

from __future__ import annotations

import random
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from operator import is_
from typing import Any, TypeVar

import numpy as np
import torch
from torch import nn

T = TypeVar("T")


@contextmanager
def untouched(module: nn.Module, *, freeze: bool = True) -> Iterator[nn.Module]:
    """For its duration the network is in eval mode and (`freeze`) no parameter needs a gradient.

    Afterwards, also after an exception, everything is as before: the mode of each submodule, requires_grad,
    gradients, hooks, buffers, caches kept in attributes, and the random state of torch (CPU and the
    network's CUDA devices), numpy and Python. What the caller does to the values of parameters stays. For
    one thread at a time.

    >>> net = nn.Dropout().train()
    >>> with untouched(net):
    ...     net.training
    False
    >>> net.training
    True
    """
    state = _State(module)
    try:
        module.eval()
        if freeze:
            for parameter, _, _ in state.parameters:
                parameter.requires_grad_(False)
        yield module
    finally:
        state.restore()


class _State:
    def __init__(self, module: nn.Module) -> None:
        parts = list(
            module.modules()
        )  # walked once: torch walks the tree anew for parameters and for buffers
        # A shallow copy of every attribute, and of every dictionary and list in them, holds the mode, the
        # parameters, the buffers, the hooks and whatever caches a layer keeps (LeViT: its attention biases).
        # Most dictionaries of most layers are empty (hooks): None stands for them, which is several times quicker.
        self.attributes = [
            (
                vars(part),
                dict(vars(part)),
                [(v, v.copy() if v else None) for v in vars(part).values() if type(v) in _HOLDERS],
            )
            for part in parts
        ]
        parameters = _each_once(p for part in parts for p in part._parameters.values())
        self.parameters = [(p, p.requires_grad, p.grad) for p in parameters]
        buffers = _each_once(b for part in parts for b in part._buffers.values())
        held = [*buffers, *(grad for _, _, grad in self.parameters if grad is not None)]
        self.values = [(tensor, tensor.detach().clone()) for tensor in held if not tensor.is_meta]
        self.devices = sorted({p.device.index for p in parameters if p.device.type == "cuda"})
        self.random = (
            torch.get_rng_state(),
            [torch.cuda.get_rng_state(device) for device in self.devices],
            np.random.get_state(),  # noqa: NPY002 (the legacy state is what others may have touched)
            random.getstate(),
        )

    def restore(self) -> None:
        for live, attributes, holders in self.attributes:
            _refill(live, attributes)
            for holder, content in holders:
                if content is not None:
                    _refill(holder, content)
                elif holder:
                    holder.clear()
        for parameter, requires_grad, grad in self.parameters:
            parameter.requires_grad_(requires_grad)
            parameter.grad = grad
        with torch.no_grad():
            for tensor, value in self.values:
                if not torch.equal(tensor, value):  # batch norm's kernels change buffers without counting it
                    tensor.copy_(value)
        cpu, cuda, legacy, python = self.random
        torch.set_rng_state(cpu)
        for device, state in zip(self.devices, cuda, strict=True):
            torch.cuda.set_rng_state(state, device)
        np.random.set_state(legacy)  # noqa: NPY002
        random.setstate(python)


def _each_once(found: Iterable[T | None]) -> list[T]:
    return list({id(one): one for one in found if one is not None}.values())


_HOLDERS = (dict, OrderedDict, list, set)


def _refill(live: Any, content: Any) -> None:
    if isinstance(live, list):
        if len(live) != len(content) or not all(map(is_, live, content)):
            live[:] = content
        return
    same_keys = list(live) == list(content)
    if same_keys and (isinstance(live, set) or all(map(is_, live.values(), content.values()))):
        return
    for key in [key for key in live if key not in content]:
        live.discard(key) if isinstance(live, set) else live.pop(key)
    if list(live) != list(content):
        live.clear()
    live.update(content)
