"""DANN: a critic tells the domains apart, and a reversed gradient teaches the features to leave it nothing to tell."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from featurelens.errors import InvalidInput
from featurelens.shapes import Float


class _Reverse(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, strength: float) -> Tensor:
        ctx.strength = strength
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor, None]:
        return -ctx.strength * grads[0], None


def reverse(x: Float[Tensor, "batch dim"], strength: float) -> Float[Tensor, "batch dim"]:
    """`x` itself, whose gradient comes back times −`strength` (Ganin & Lempitsky 2015).

    >>> x = torch.ones(1, 2, requires_grad=True)
    >>> reverse(x, 0.5).sum().backward()
    >>> x.grad
    tensor([[-0.5000, -0.5000]])
    """
    found: Tensor = _Reverse.apply(x, strength)  # pyright: ignore[reportAssignmentType]
    return found


def strength_at(progress: float) -> float:
    """How strongly the gradient is reversed when a share of the run is done: 0 at first, 1 in the end (Ganin et al. 2016).

    >>> strength_at(0.0), round(strength_at(1.0), 4)
    (0.0, 0.9999)
    """
    return 2 / (1 + math.exp(-10 * progress)) - 1


class Critic(nn.Module):
    """From features to one number, positive for the source: two hidden layers of `width`."""

    def __init__(self, dim: int, width: int = 256) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(dim, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 1)
        )

    def forward(self, x: Float[Tensor, "batch dim"]) -> Float[Tensor, "batch"]:
        return self.layers(x)[:, 0]


def dann_loss(
    x: Float[Tensor, "n dim"], y: Float[Tensor, "m dim"], critic: Critic | None, progress: float
) -> Float[Tensor, ""]:
    """The critic's cross-entropy, each domain counting half; features get its gradient reversed (Ganin et al. 2016).

    Raises InvalidInput without a critic.

    >>> round(dann_loss(torch.zeros(2, 3), torch.zeros(2, 3), Critic(3), 0.5).exp().item(), 1)
    2.0
    """
    if critic is None:
        raise InvalidInput("DANN needs a critic; give critic=Critic(dim).")
    strength = strength_at(progress)
    told_x, told_y = critic(reverse(x.float(), strength)), critic(reverse(y.float(), strength))
    return (F.softplus(-told_x).mean() + F.softplus(told_y).mean()) / 2
