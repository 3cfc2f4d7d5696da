"""How the image towers of OpenCLIP are read in two steps: the last places, and the vector made from them."""

from __future__ import annotations

from typing import Any

from open_clip.modified_resnet import ModifiedResNet
from open_clip.timm_model import TimmModel
from open_clip.transformer import VisionTransformer
from torch import Tensor

from featurelens.backbone.torch_backbone import Step


def steps(visual: Any) -> tuple[Step, Step]:
    """(features, pool) of an image tower; one of an unknown kind gives its vector only."""
    if isinstance(visual, VisionTransformer):
        return _tokens, _pooled
    if isinstance(visual, TimmModel):
        return _trunk, _adapted
    if isinstance(visual, ModifiedResNet):
        return _last_stage, _attended
    return lambda module, x: module(x), lambda _, vector: vector


def _tokens(visual: Any, x: Tensor) -> Tensor:
    return visual.transformer(visual._embeds(x))


def _pooled(visual: Any, tokens: Tensor) -> Tensor:
    pooled, _ = visual._pool(tokens)
    return pooled if visual.proj is None else pooled @ visual.proj


def _trunk(visual: Any, x: Tensor) -> Any:
    return visual.trunk.forward_features(x)


def _adapted(visual: Any, features: Any) -> Tensor:
    return visual.head(visual.trunk.forward_head(features))


def _attended(visual: Any, stage: Tensor) -> Tensor:
    return visual.attnpool(stage)


def _last_stage(visual: Any, x: Tensor) -> Tensor:
    x = visual.stem(x)
    for stage in (visual.layer1, visual.layer2, visual.layer3, visual.layer4):
        x = stage(x)
    return x
