"""AdaBN: batch norm with the target's statistics in place of the source's; nothing is trained."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from featurelens.adapt.recover import unfold
from featurelens.backbone.torch_backbone import TorchBackbone
from featurelens.errors import InvalidInput

Batches = Callable[[], Iterable[Tensor]]
"""Gives normalised images, batch by batch, anew at each call."""


def norms_of(module: nn.Module) -> list[nn.BatchNorm2d]:
    """The batch norms that keep statistics."""
    return [m for m in module.modules() if isinstance(m, nn.BatchNorm2d) and m.running_mean is not None]


@torch.no_grad()
def adabn(backbone: TorchBackbone, source: Batches, target: Batches) -> TorchBackbone:
    """A copy whose batch norms have the statistics of `target` (Li et al. 2017); InvalidInput where it has none.

    Every layer is given what the adapted layers before it put out, and its statistics are the mean over the batches,
    as in training. Batch norms whose statistics were folded into the convolutions before them (mean 0, variance 1)
    first get those of `source`, which changes nothing of what the network computes.
    """
    module = copy.deepcopy(backbone.module)
    norms = norms_of(module)
    if not norms:
        raise InvalidInput(
            f"AdaBN replaces the statistics of batch norm, and '{backbone.spec.name}' has no batch norm. Choose "
            "another method, such as coral."
        )
    if all(_folded(norm) for norm in norms):
        unfold(module, source())
    before = {norm: norm.momentum for norm in norms}
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the mean over all batches
    module.eval()
    for norm in norms:
        norm.train()
    seen = 0
    for x in target():
        if len(x) > 1 or not seen:
            module(x)
            seen += len(x)
    for norm, momentum in before.items():
        norm.momentum = momentum
    return backbone.with_module(module)


def _folded(norm: Any) -> bool:
    return bool(norm.running_mean.abs().max() < 1e-6) and float(norm.running_var.std(correction=0)) < 1e-6
