"""AdaBN: batch norm with the target's statistics in place of the source's; nothing is trained."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from featurelens.adapt.rebase import rebase
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
    as in training. First the batch norms get those of `source`, which changes nothing of what the network computes: they
    may have had others, of the images that it was trained on, or none, folded into the convolutions before them.
    """
    module = copy.deepcopy(backbone.module)
    norms = norms_of(module)
    if not norms:
        raise InvalidInput(
            f"AdaBN replaces the statistics of batch norm, and '{backbone.spec.name}' has no batch norm. Choose "
            "another method, such as coral."
        )
    rebase(module, source())
    before = {norm: norm.momentum for norm in norms}
    for norm in norms:
        norm.reset_running_stats()
    module.eval()
    for norm in norms:
        norm.train()
    seen = 0
    for x in target():
        if len(x) > 1 or not seen:
            seen += len(x)
            for norm in norms:  # the mean over all images: a small last batch counts as little as it has
                norm.momentum = len(x) / seen
            module(x)
    for norm, momentum in before.items():
        norm.momentum = momentum
    return backbone.with_module(module)
