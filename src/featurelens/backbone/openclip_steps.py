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
        return lambda m, x: m.trunk.forward_features(x), lambda m, f: m.head(m.trunk.forward_head(f))
    if isinstance(visual, ModifiedResNet):
        return _last_stage, lambda m, f: m.attnpool(f)
    return lambda m, x: m(x), lambda m, f: f


def _tokens(visual: Any, x: Tensor) -> Tensor:
    return visual.transformer(visual._embeds(x))


def _pooled(visual: Any, tokens: Tensor) -> Tensor:
    pooled, _ = visual._pool(tokens)
    return pooled if visual.proj is None else pooled @ visual.proj


def _last_stage(visual: Any, x: Tensor) -> Tensor:
    x = visual.stem(x)
    for stage in (visual.layer1, visual.layer2, visual.layer3, visual.layer4):
        x = stage(x)
    return x
