"""LoRA: a frozen weight plus a product of two small matrices (Hu et al. 2021), for linear layers and convolutions.

Written here and not taken from PEFT: that brings transformers and accelerate, and renames every layer, which the
taps, the stages and the exported weights go by. As a parametrisation a layer keeps its name and its forward pass.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from featurelens.errors import BackboneError

_ORIGINAL, _ADDED = ".parametrizations.weight.original", ".parametrizations.weight.0."


class LowRank(nn.Module):
    """weight ↦ weight + alpha / rank · up · down, where the weight is taken as a matrix [out, rest]."""

    def __init__(self, weight: Tensor, *, rank: int, alpha: float) -> None:
        super().__init__()
        rows, cols = weight.shape[0], weight[0].numel()
        rank = min(rank, rows, cols)
        self.scale = alpha / rank
        self.down = nn.Parameter(weight.new_empty(rank, cols))
        self.up = nn.Parameter(weight.new_zeros(rows, rank))  # nothing changes before the first step
        nn.init.kaiming_uniform_(self.down, a=math.sqrt(5))

    def forward(self, weight: Tensor) -> Tensor:
        return weight + self.scale * (self.up @ self.down).view_as(weight)


def add_lora(
    module: nn.Module, *, rank: int = 8, alpha: float = 8.0, skip: Iterable[str] = (), seed: int = 0
) -> list[str]:
    """Add LoRA to every linear layer and every ungrouped convolution but those in `skip`; returns their names.

    Raises BackboneError for a network that has none.

    >>> net = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    >>> add_lora(net, skip=["2"])
    ['0']
    """
    avoid = tuple(skip)
    found = [
        name
        for name, part in module.named_modules()
        if isinstance(part, nn.Linear) or (isinstance(part, nn.Conv2d) and part.groups == 1)
        if name and not any(name == one or name.startswith(f"{one}.") for one in avoid)
    ]
    if not found:
        raise BackboneError(
            f"{type(module).__name__} has no linear layer or convolution that LoRA could change."
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for name in found:
            part = module.get_submodule(name)
            parametrize.register_parametrization(
                part, "weight", LowRank(part.get_parameter("weight"), rank=rank, alpha=alpha)
            )
    return found


def merge_lora(module: nn.Module) -> None:
    """Put the sums in the place of the weights: the network computes what it did, bit for bit, without LoRA."""
    for part in list(module.modules()):
        added: Any = part.parametrizations["weight"] if parametrize.is_parametrized(part, "weight") else None  # pyright: ignore
        if added is not None and isinstance(added[0], LowRank):
            parametrize.remove_parametrizations(part, "weight", leave_parametrized=True)


def plain_name(name: str) -> str:
    """The name of a parameter as it was before LoRA."""
    head, added, _ = name.partition(_ADDED)
    return f"{head}.weight" if added else name.replace(_ORIGINAL, ".weight")


def is_added(name: str) -> bool:
    """Whether a parameter is one of LoRA's own."""
    return _ADDED in name
