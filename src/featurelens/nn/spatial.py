"""Spatial attention: where to look, as a map in (0, 1) over the places of a feature map (Woo et al. 2018)."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from featurelens.errors import InvalidInput
from featurelens.nn.exchange import Rules
from featurelens.shapes import Float


class Attended(NamedTuple):
    """What spatial attention gives: the features times the map, and the map."""

    features: Float[Tensor, "batch channel row col"]
    map: Float[Tensor, "batch 1 row col"]


class SpatialAttention(nn.Module):
    """Mean and largest channel of each place → a `kernel` × `kernel` convolution → a weight in (0, 1).

    CBAM: Convolutional Block Attention Module, Woo et al. 2018, section 3.2. Equals timm's SpatialAttn.

    >>> features, where = SpatialAttention()(torch.rand(2, 16, 7, 7))
    >>> features.shape, where.shape
    (torch.Size([2, 16, 7, 7]), torch.Size([2, 1, 7, 7]))
    """

    names: ClassVar[dict[str, Rules]] = {"timm": (("^conv", "conv.conv"), ("^norm", "conv.bn"))}

    def __init__(self, kernel: int = 7) -> None:
        super().__init__()
        if kernel % 2 == 0:
            raise InvalidInput(f"kernel={kernel} must be odd, so that the map keeps its size.")
        self.conv = nn.Conv2d(2, 1, kernel, padding=kernel // 2, bias=False)
        self.norm = nn.BatchNorm2d(1)

    def forward(self, x: Float[Tensor, "batch channel row col"]) -> Attended:
        summary = torch.cat((x.mean(1, keepdim=True), x.amax(1, keepdim=True)), 1)
        where = torch.sigmoid(self.norm(self.conv(summary)))
        return Attended(x * where, where)
