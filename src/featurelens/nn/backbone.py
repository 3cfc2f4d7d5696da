"""A network of these blocks (or your own) as a Backbone like any other."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Protocol, runtime_checkable

from torch import Tensor, nn

from featurelens.backbone.protocol import Spec
from featurelens.backbone.torch_backbone import TorchBackbone
from featurelens.errors import InvalidInput
from featurelens.images.fit import Fit


@runtime_checkable
class Network(Protocol):
    """A module that says what its map (or tokens) and its embedding are."""

    def features(self, x: Tensor) -> Tensor: ...

    def pool(self, features: Any) -> Tensor: ...


def as_backbone(
    module: nn.Module, *, name: str, size: int, like: Spec | None = None, device: str = "cpu"
) -> TorchBackbone:
    """`module.features` and `module.pool` as a Backbone that takes `size` × `size` pixels.

    Normalisation and licence come from `like`, the spec of a backbone inside it; without one they are ImageNet's.
    It extracts, explains, assesses, and exports with `export_bundle`. Raises InvalidInput for a module without both.

    >>> from featurelens.nn import EfficientNet
    >>> as_backbone(EfficientNet(width=0.25, depth=0.3), name="mine", size=64).spec.dim
    320
    """
    if not isinstance(module, Network):
        raise InvalidInput(f"{type(module).__name__} needs the methods features(x) and pool(features).")
    if like is None:
        spec = Spec(name, weights="", dim=0, fit=Fit(size, size, crop_pct=1.0))
    else:
        spec = replace(like, name=name, fit=replace(like.fit, rows=size, cols=size))
    return TorchBackbone(
        module, spec, features=_features, pool=_pool, device=device, identity=f"nn:{type(module).__name__}"
    )


def _features(module: Any, x: Tensor) -> Any:
    return module.features(x)


def _pool(module: Any, features: Any) -> Tensor:
    return module.pool(features)
