"""What is asked of both domains' features besides the source's classes: each method as one short function, in fp32."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor
from torch.nn import functional as F

from featurelens.adapt.domain.adversary import Critic, dann_loss
from featurelens.errors import InvalidInput
from featurelens.shapes import Float, Int64

WIDTHS = tuple(2.0**k for k in (-2, -1, 0, 1, 2))
"""Kernel widths, times the mean squared distance of the batch (as in TLlib's DAN)."""


@dataclass(frozen=True, eq=False)
class Pair:
    """What one step sees: features (scaled to unit variance in the mean) and class scores of a batch of each domain.

    `guessed` are pseudo-labels of the target batch (-1: none), `progress` the share of the run that is done.
    """

    source: Float[Tensor, "batch dim"]
    target: Float[Tensor, "batch_ dim"]
    source_logits: Float[Tensor, "batch target"]
    target_logits: Float[Tensor, "batch_ target"]
    guessed: Int64[Tensor, "batch_"]
    progress: float
    critic: Critic | None = None


def coral_loss(x: Float[Tensor, "n dim"], y: Float[Tensor, "m dim"]) -> Float[Tensor, ""]:
    """Deep CORAL (Sun & Saenko 2016): squared distance of both covariances over 4 d². InvalidInput for one row.

    >>> round(float(coral_loss(torch.eye(3), torch.eye(3) + 5)), 6)
    0.0
    """
    _check(x, y)
    x, y = x.float() - x.float().mean(0), y.float() - y.float().mean(0)
    gap = x.mT @ x / (len(x) - 1) - y.mT @ y / (len(y) - 1)
    return gap.square().sum() / (4 * x.shape[1] ** 2)


def _check(x: Float[Tensor, "n dim"], y: Float[Tensor, "m dim"]) -> None:
    if min(len(x), len(y)) < 2:
        raise InvalidInput(
            f"The batches have {len(x)} and {len(y)} rows; how features vary takes 2 or more of each."
        )


def mmd_loss(x: Float[Tensor, "n dim"], y: Float[Tensor, "m dim"]) -> Float[Tensor, ""]:
    """DAN's multi-kernel MMD² (Long et al. 2015): RBF kernels around the batch's mean squared distance, unbiased.

    InvalidInput for one row.

    >>> float(mmd_loss(torch.eye(4), torch.eye(4))) < 0 < float(mmd_loss(torch.eye(4), torch.eye(4) + 5))
    True
    """
    _check(x, y)
    n, m = len(x), len(y)
    rows = torch.cat((x, y)).float()
    rows = rows - rows.detach().mean(0)  # distances stay; lengths, which fp32 takes apart again, get small
    lengths = rows.square().sum(1)
    squared = (lengths[:, None] + lengths - 2 * rows @ rows.mT).clamp(min=0)
    width = squared.detach().mean().clamp(min=1e-12)
    kernel = sum((torch.exp(-squared / (2 * w * width)) for w in WIDTHS), torch.zeros_like(squared))
    kernel = kernel - torch.diag(kernel.diagonal())
    within = kernel[:n, :n].sum() / (n * (n - 1)) + kernel[n:, n:].sum() / (m * (m - 1))
    return within - 2 * kernel[:n, n:].mean()


def mcc_loss(logits: Float[Tensor, "batch target"], *, temperature: float = 2.5) -> Float[Tensor, ""]:
    """Minimum class confusion (Jin et al. 2020): target images, the sure ones more, should not mix up two classes.

    >>> float(mcc_loss(50 * torch.eye(3))) < 1e-6 < float(mcc_loss(torch.zeros(3, 3)))
    True
    """
    chances = (logits.float() / temperature).softmax(1)
    entropy = -(chances * (chances + 1e-5).log()).sum(1).detach()
    weights = 1 + torch.exp(-entropy)
    weights = len(logits) * weights / weights.sum()
    mixed = (chances * weights[:, None]).mT @ chances
    mixed = mixed / mixed.sum(1, keepdim=True).clamp(min=1e-12)
    return (mixed.sum() - mixed.diagonal().sum()) / logits.shape[1]


def pseudo_loss(logits: Float[Tensor, "batch target"], guessed: Int64[Tensor, "batch"]) -> Float[Tensor, ""]:
    """Cross-entropy on the network's own sure labels (Lee 2013); 0 where the batch has none (-1).

    >>> float(pseudo_loss(torch.zeros(2, 4), torch.tensor([-1, -1])))
    0.0
    """
    losses = F.cross_entropy(logits.float(), guessed, ignore_index=-1, reduction="sum")
    return losses / max(1, int((guessed >= 0).sum()))


Objective = Callable[[Pair], Tensor]
OBJECTIVES: Mapping[str, Objective] = MappingProxyType(
    {
        "source": lambda pair: pair.source.new_zeros(()),
        "deep-coral": lambda pair: coral_loss(pair.source, pair.target),
        "mmd": lambda pair: mmd_loss(pair.source, pair.target),
        "dann": lambda pair: dann_loss(pair.source, pair.target, pair.critic, pair.progress),
        "mcc": lambda pair: mcc_loss(pair.target_logits),
        "pseudo": lambda pair: pseudo_loss(pair.target_logits, pair.guessed),
    }
)
"""The methods that learn, each beside the cross-entropy on the source."""
