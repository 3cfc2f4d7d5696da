"""Model randomization: a map that stays the same when the network forgets what it learned does not show it."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import numpy as np
import torch
from torch import nn

from featurelens.backbone.torch_backbone import TorchBackbone
from featurelens.shapes import Float

STAGES = (0.25, 0.5, 1.0)  # share of the layers with weights, from the output down


def randomized(
    backbone: TorchBackbone, *, stages: tuple[float, ...] = STAGES, seed: int = 0
) -> Iterator[TorchBackbone]:
    """Copies of the backbone whose last layers hold random weights: more of them at each stage, at last all.

    Adebayo et al., "Sanity Checks for Saliency Maps" (2018), cascading. Weights are drawn with the mean
    and spread that they had; vectors (biases, scales) are shuffled. The original is not touched.
    """
    network = copy.copy(backbone)
    network.module = copy.deepcopy(backbone.module)
    random = torch.Generator().manual_seed(seed)
    layers = [part for part in network.module.modules() if any(True for _ in part.parameters(recurse=False))]
    done = len(layers)
    for share in stages:
        first = len(layers) - round(share * len(layers))
        for part in reversed(layers[first:done]):
            _forget(part, random)
        done = first
        yield network


def _forget(part: nn.Module, random: torch.Generator) -> None:
    with torch.no_grad():
        for parameter in part.parameters(recurse=False):
            if parameter.ndim < 2:
                order = torch.randperm(parameter.numel(), generator=random)
                parameter.copy_(parameter.flatten()[order.to(parameter.device)].reshape(parameter.shape))
                continue
            drawn = torch.randn(parameter.shape, generator=random, dtype=torch.float32).to(parameter)
            parameter.copy_(parameter.mean() + parameter.std() * drawn)


def rank_correlation(a: Float[np.ndarray, "*shape"], b: Float[np.ndarray, "*shape"]) -> float:
    """Spearman's correlation, ties sharing their mean rank; 0 where one side is constant.

    >>> round(rank_correlation(np.array([1.0, 2.0, 3.0]), np.array([10.0, 30.0, 20.0])), 3)
    0.5
    """
    x, y = (_ranks(values.ravel()) for values in (a, b))
    x, y = x - x.mean(), y - y.mean()
    size = np.sqrt((x * x).sum() * (y * y).sum())
    return float((x * y).sum() / size) if size > 0 else 0.0


def _ranks(values: np.ndarray) -> np.ndarray:
    _, which, count = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(count)
    return (ends - (count - 1) / 2.0)[which]
