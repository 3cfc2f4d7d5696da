"""Batch norms get the statistics of other images, without a change of what the network computes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn


@torch.no_grad()
def rebase(network: nn.Module, images: Tensor | Iterable[Tensor]) -> None:
    """Give batch norms the statistics of normalised `images`; weights and biases make up for it.

    With mean m and variance v before it, a batch norm of weight w √((v + ε) / (v₀ + ε)) and bias b + w (m - m₀) / √(v₀ + ε)
    computes what one of weight w, bias b, mean m₀ and variance v₀ did. After that, a training pass over such images
    computes about the same, also where batch norms were folded into the convolutions before them (m₀ = 0, v₀ = 1).
    `images` may come in batches.
    """
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    sums: dict[nn.BatchNorm2d, list[Any]] = {norm: [0, 0.0, 0.0] for norm in norms}  # places, values, squares

    def note(norm: Any, inputs: tuple[Tensor, ...]) -> None:
        values = inputs[0].transpose(0, 1).flatten(1).double()
        own = sums[norm]
        own[0] += values.shape[1]
        own[1], own[2] = own[1] + values.sum(1), own[2] + values.square().sum(1)

    hooks = [norm.register_forward_pre_hook(note) for norm in norms]
    try:
        network.eval()
        for batch in [images] if isinstance(images, Tensor) else images:
            network(batch)
    finally:
        for hook in hooks:
            hook.remove()
    for norm, (count, total, squares) in sums.items():
        if not count or norm.weight is None:
            continue  # it did not run, or has nothing that could make up for other statistics
        assert norm.running_mean is not None
        assert norm.running_var is not None
        mean = total / count
        variance = ((squares - count * mean.square()) / max(1, count - 1)).clamp(min=0)
        slope = norm.weight / (norm.running_var + norm.eps).sqrt()
        norm.bias.add_(slope * (mean - norm.running_mean))
        norm.weight.copy_(slope * (variance + norm.eps).sqrt())
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(variance)
