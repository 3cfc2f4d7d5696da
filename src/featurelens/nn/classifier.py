"""Any backbone + attention over its map + pooling + head: class scores, and where they come from."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from featurelens.backbone.torch_backbone import TorchBackbone
from featurelens.errors import BackboneError, InvalidInput
from featurelens.nn.cbam import CBAM
from featurelens.nn.spatial import SpatialAttention
from featurelens.shapes import Float

ATTENTIONS = ("spatial", "cbam", "none")


class Scored(NamedTuple):
    """Class scores, and the map in (0, 1) of the places that they were pooled from."""

    logits: Float[Tensor, "batch class"]
    map: Float[Tensor, "batch 1 row col"]


class AttentionHead(nn.Module):
    """A feature map → spatial attention or CBAM (Woo et al. 2018) → mean weighted by the map → linear scores.

    With `attention="none"` it is the plain head: the mean of all places. It can be trained alone, on maps that were
    extracted once. Raises InvalidInput for another attention.

    >>> logits, where = AttentionHead(16, 3)(torch.rand(2, 16, 7, 7))
    >>> logits.shape, where.shape
    (torch.Size([2, 3]), torch.Size([2, 1, 7, 7]))
    """

    def __init__(
        self, channels: int, classes: int, *, attention: str = "spatial", dropout: float = 0.0
    ) -> None:
        super().__init__()
        if attention not in ATTENTIONS:
            raise InvalidInput(f"attention={attention!r} is not one of {', '.join(ATTENTIONS)}.")
        self.attention = {
            "spatial": SpatialAttention,
            "cbam": lambda: CBAM(channels, max(8, channels // 16)),
            "none": lambda: None,
        }[attention]()
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(channels, classes)

    def pooled(
        self, maps: Float[Tensor, "batch channel row col"]
    ) -> tuple[Float[Tensor, "batch channel"], Float[Tensor, "batch 1 row col"]]:
        """The mean of the attended map, each place counting by its weight, and the weights."""
        if self.attention is None:
            return maps.mean((2, 3)), torch.ones_like(maps[:, :1])
        attended, where = self.attention(maps)
        return attended.sum((2, 3)) / where.sum((2, 3)).clamp(min=1e-6), where

    def forward(self, maps: Float[Tensor, "batch channel row col"]) -> Scored:
        pooled, where = self.pooled(maps)
        return Scored(self.linear(self.dropout(pooled)), where)


class AttentionClassifier(nn.Module):
    """A torch backbone with an `AttentionHead` on its last map (or token grid); takes normalised images.

    `features` and `pool` are what `nn.as_backbone` reads: the pooled attended features are an embedding. Raises
    BackboneError for a backbone without a map.

    >>> from featurelens.backbone import load_backbone
    >>> backbone = load_backbone("test_resnet", engine="torch", pretrained=False, size=64)
    >>> logits, where = AttentionClassifier(backbone, classes=3)(torch.rand(2, 3, 64, 64))
    >>> logits.shape, where.shape
    (torch.Size([2, 3]), torch.Size([2, 1, 2, 2]))
    """

    def __init__(
        self, backbone: TorchBackbone, classes: int, *, attention: str = "spatial", dropout: float = 0.0
    ) -> None:
        super().__init__()
        if not backbone.spec.map_channels:
            raise BackboneError(
                f"'{backbone.spec.name}' has no spatial map to attend to; choose another backbone."
            )
        self.network = backbone.module
        self._backbone = backbone
        self.head = AttentionHead(backbone.spec.map_channels, classes, attention=attention, dropout=dropout)
        self.head.to(backbone.device)

    def features(
        self, x: Float[Tensor, "batch 3 row col"]
    ) -> Float[Tensor, "batch channel grid_row grid_col"]:
        """The backbone's map."""
        return self._backbone.to_map(self._backbone.forward_features(x))

    def pool(self, maps: Float[Tensor, "batch channel row col"]) -> Float[Tensor, "batch channel"]:
        """The mean of the attended map."""
        return self.head.pooled(maps)[0]

    def forward(self, x: Float[Tensor, "batch 3 row col"]) -> Scored:
        return self.head(self.features(x))
