"""CBAM: first which channels, then which places (Woo et al. 2018)."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from featurelens.nn.exchange import Rules
from featurelens.nn.spatial import Attended, SpatialAttention
from featurelens.shapes import Float


class ChannelAttention(nn.Module):
    """Like squeeze-and-excitation, from the mean and from the largest place, through one shared perceptron.

    CBAM, Woo et al. 2018, section 3.1. Equals timm's ChannelAttn.

    >>> ChannelAttention(16, 4)(torch.rand(2, 16, 7, 7)).shape
    torch.Size([2, 16, 7, 7])
    """

    names: ClassVar[dict[str, Rules]] = {"timm": ()}

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(channels, hidden, 1, bias=False)
        self.fc2 = nn.Conv2d(hidden, channels, 1, bias=False)

    def forward(self, x: Float[Tensor, "batch channel row col"]) -> Float[Tensor, "batch channel row col"]:
        pooled = x.mean((2, 3), keepdim=True), x.amax((2, 3), keepdim=True)
        mean, largest = (self.fc2(self.fc1(part).relu()) for part in pooled)
        return x * torch.sigmoid(mean + largest)


class CBAM(nn.Module):
    """Channel attention, then spatial attention; gives the attended features and the map of places.

    CBAM: Convolutional Block Attention Module, Woo et al. 2018. Equals timm's CbamModule.

    >>> features, where = CBAM(16, 4)(torch.rand(2, 16, 7, 7))
    >>> features.shape, where.shape
    (torch.Size([2, 16, 7, 7]), torch.Size([2, 1, 7, 7]))
    """

    names: ClassVar[dict[str, Rules]] = {
        "timm": ((r"^spatial\.conv", "spatial.conv.conv"), (r"^spatial\.norm", "spatial.conv.bn"))
    }

    def __init__(self, channels: int, hidden: int, *, kernel: int = 7) -> None:
        super().__init__()
        self.channel = ChannelAttention(channels, hidden)
        self.spatial = SpatialAttention(kernel)

    def forward(self, x: Float[Tensor, "batch channel row col"]) -> Attended:
        return self.spatial(self.channel(x))
