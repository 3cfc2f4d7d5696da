"""Targets and inputs that are mixed: label smoothing, mixup, CutMix, and the loss that takes them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from featurelens.shapes import Float, Int64


def soft_targets(
    codes: Int64[Tensor, " batch"], classes: int, *, smoothing: float = 0.0
) -> Float[Tensor, "batch target"]:
    """One-hot rows, of which `smoothing` is spread over all classes (Szegedy et al. 2016).

    >>> soft_targets(torch.tensor([1]), 2, smoothing=0.2)
    tensor([[0.1000, 0.9000]])
    """
    return F.one_hot(codes, classes).float() * (1 - smoothing) + smoothing / classes


def mix(
    x: Float[Tensor, "batch ..."], targets: Float[Tensor, "batch target"], source: torch.Generator, *,
    mixup: float = 0.0, cutmix: float = 0.0,
) -> tuple[Float[Tensor, "batch ..."], Float[Tensor, "batch target"]]:  # fmt: skip
    """Mixup (Zhang et al. 2018) or CutMix (Yun et al. 2019) of a batch with its own permutation.

    `mixup` and `cutmix` are the parameters of their beta distributions (0: off); with both, each batch takes one
    of them at random. `source` is a CPU generator and the only source of chance.
    """
    if not mixup and not cutmix:
        return x, targets
    cut = bool(cutmix) and (not mixup or torch.rand(1, generator=source).item() < 0.5)
    share = _beta(cutmix if cut else mixup, source)
    other = torch.randperm(len(x), generator=source).to(x.device)
    if not cut:
        mixed = share * x + (1 - share) * x[other]
    else:
        mixed, (rows, cols) = x.clone(), x.shape[2:]
        half = (1 - share) ** 0.5 / 2
        row, col = (torch.rand(2, generator=source) * torch.tensor([rows, cols])).tolist()
        top, bottom = (max(0, min(rows, round(row + way * half * rows))) for way in (-1, 1))
        left, right = (max(0, min(cols, round(col + way * half * cols))) for way in (-1, 1))
        mixed[:, :, top:bottom, left:right] = x[other, :, top:bottom, left:right]
        share = 1 - (bottom - top) * (right - left) / (rows * cols)
    return mixed, share * targets + (1 - share) * targets[other]


def _beta(parameter: float, source: torch.Generator) -> float:
    """A draw from Beta(a, a) as a share of two gamma draws; where a is so small that both are fp32's least number, 0 or 1."""
    gamma: Any = torch._standard_gamma  # pyright: ignore[reportPrivateImportUsage] (torch.distributions takes no generator)
    a, b = gamma(torch.full((2,), parameter), generator=source).tolist()
    return a / (a + b) if a != b else float(torch.rand(1, generator=source).item() < 0.5)


def losses(
    logits: Float[Tensor, "batch target"],
    targets: Float[Tensor, "batch target"],
    weights: Float[Tensor, " target"] | None = None,
) -> Float[Tensor, " batch"]:
    """Cross-entropy of each row against soft targets, in fp32; `weights` multiply the classes."""
    scores = F.log_softmax(logits.float(), dim=1)
    return -(targets * scores if weights is None else targets * weights * scores).sum(1)


def balanced(codes: Int64[Tensor, " n"], classes: int) -> Float[Tensor, " target"]:
    """Class weights that make each class count alike and average 1 over the images (scikit-learn's "balanced")."""
    counts = torch.bincount(codes, minlength=classes).clamp(min=1)
    return len(codes) / (classes * counts.float())
