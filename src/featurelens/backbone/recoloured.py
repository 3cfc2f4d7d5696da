"""A network whose unit embedding goes through one more affine map, and a classifier behind it."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from featurelens.backbone.torch_backbone import Step, TorchBackbone
from featurelens.errors import InvalidInput
from featurelens.shapes import Float, Float32


class Recoloured(nn.Module):
    """`network`, its embedding scaled to length one, `recolour`, and `head`, whose class scores it gives."""

    def __init__(self, network: nn.Module, features: Step, pool: Step, dim: int, classes: int) -> None:
        super().__init__()
        self.network = network
        self._features, self._pool = features, pool
        self.recolour, self.head = nn.Linear(dim, dim), nn.Linear(dim, classes)

    def features(self, x: Float[Tensor, "batch 3 row col"]) -> Any:
        return self._features(self.network, x)

    def embed(self, features: Any) -> Float[Tensor, "batch dim"]:
        pooled = self._pool(self.network, features)
        pooled = pooled if pooled.ndim == 2 else pooled.flatten(2).mean(2)
        return self.recolour(F.normalize(pooled, dim=1))

    def forward(self, x: Float[Tensor, "batch 3 row col"]) -> Float[Tensor, "batch target"]:
        return self.head(self.embed(self.features(x)))


def recoloured(
    backbone: TorchBackbone,
    matrix: Float32[np.ndarray, "dim dim"],
    shift: Float32[np.ndarray, "dim"],
    head: tuple[Float32[np.ndarray, "target dim"], Float32[np.ndarray, "target"]],
) -> TorchBackbone:
    """`backbone` (not copied) with unit embeddings that become rows @ matrix + shift, and a linear classifier.

    Raises InvalidInput for a backbone that was recoloured before.
    """
    module = unfilled(backbone, len(head[1]))
    with torch.no_grad():
        module.recolour.weight.copy_(torch.from_numpy(matrix.T.copy()))
        module.recolour.bias.copy_(torch.from_numpy(shift))
        module.head.weight.copy_(torch.from_numpy(head[0]))
        module.head.bias.copy_(torch.from_numpy(head[1]))
    return around(backbone, module)


def unfilled(backbone: TorchBackbone, classes: int) -> Recoloured:
    """The module with random weights behind the network."""
    if isinstance(backbone.module, Recoloured):
        raise InvalidInput(
            f"'{backbone.spec.name}' has been adapted before by a map of its embedding, and a second one does not fit "
            "behind it. Adapt the network that it was made from."
        )
    return Recoloured(backbone.module, *backbone.steps, backbone.spec.dim, classes)


def around(backbone: TorchBackbone, module: Recoloured) -> TorchBackbone:
    """The module as a backbone that reads images as `backbone` does."""
    return TorchBackbone(
        module,
        backbone.spec,
        features=_features,
        pool=_embed,
        device=str(backbone.device),
        identity=backbone.identity,
        precision=backbone.precision,
        places=backbone.places,
    )


def inner_classes(backbone: TorchBackbone) -> int | None:
    """How many classes the network inside knows, where timm tells; it decides the shape of its weights."""
    module: Any = backbone.module
    known = getattr(module.network if isinstance(module, Recoloured) else module, "num_classes", None)
    return int(known) if isinstance(known, int) else None


def _features(module: Any, x: Tensor) -> Any:
    return module.features(x)


def _embed(module: Any, features: Any) -> Tensor:
    return module.embed(features)
