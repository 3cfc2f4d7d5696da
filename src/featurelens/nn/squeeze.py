"""Squeeze-and-excitation: channels weighted by what the whole image holds (Hu et al. 2018)."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor, nn

from featurelens.nn.exchange import Rules
from featurelens.shapes import Float


class SqueezeExcitation(nn.Module):
    """Mean of each channel → `hidden` numbers → a weight in (0, 1) for each channel.

    Squeeze-and-Excitation Networks, Hu et al. 2018. Equals timm's SEModule and torchvision's SqueezeExcitation.

    >>> block = SqueezeExcitation(16, 4)
    >>> block(torch.rand(2, 16, 7, 7)).shape, block.weights(torch.rand(2, 16, 7, 7)).shape
    (torch.Size([2, 16, 7, 7]), torch.Size([2, 16, 1, 1]))
    """

    names: ClassVar[dict[str, Rules]] = {"timm": (), "torchvision": ()}

    def __init__(self, channels: int, hidden: int, *, activation: Callable[[], nn.Module] = nn.ReLU) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(channels, hidden, 1)
        self.activation = activation()
        self.fc2 = nn.Conv2d(hidden, channels, 1)

    def weights(self, x: Float[Tensor, "batch channel row col"]) -> Float[Tensor, "batch channel 1 1"]:
        """How much of each channel is let through."""
        squeezed = x.mean((2, 3), keepdim=True)
        return torch.sigmoid(self.fc2(self.activation(self.fc1(squeezed))))

    def forward(self, x: Float[Tensor, "batch channel row col"]) -> Float[Tensor, "batch channel row col"]:
        return x * self.weights(x)
