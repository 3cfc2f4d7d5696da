"""A torch backbone as one module from uint8 pixels to features, normalisation included."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from featurelens.backbone.torch_backbone import TorchBackbone


class FromPixels(nn.Module):
    """uint8 [batch, row, col, 3] to embedding [batch, dim] and, where there is one, map [batch, channel, row, col]."""

    mean: Tensor
    std: Tensor

    def __init__(self, backbone: TorchBackbone) -> None:
        super().__init__()
        self.network = backbone.module
        self._backbone = backbone
        for name in ("mean", "std"):
            self.register_buffer(name, torch.tensor(getattr(backbone.spec, name)).view(3, 1, 1))

    def forward(self, pixels: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        x = pixels.permute(0, 3, 1, 2).float() / 255.0
        features = self._backbone.forward_features((x - self.mean) / self.std)
        embedding = self._backbone.pool(features)
        if not self._backbone.spec.map_channels:
            return embedding
        return embedding, self._backbone.to_map(features)
