"""A copy of a backbone with a fresh classifier for the user's classes."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from featurelens.backbone.torch_backbone import TorchBackbone
from featurelens.errors import BackboneError
from featurelens.shapes import Float


@dataclass(frozen=True, eq=False)
class Classifier:
    """`backbone` is a copy whose module ends in `head`; `names` are where the head stands in it."""

    backbone: TorchBackbone
    head: nn.Module
    names: tuple[str, ...]

    @property
    def module(self) -> nn.Module:
        return self.backbone.module

    def logits(self, x: Float[Tensor, "batch 3 row col"]) -> Float[Tensor, "batch target"]:
        """Class scores of normalised images, through the embedding."""
        return self.head(self.backbone.pool(self.backbone.forward_features(x)))


def with_classes(backbone: TorchBackbone, classes: int, *, seed: int = 0) -> Classifier:
    """Copy the backbone and replace its classifier; BackboneError where its scores are not made from its embedding.

    timm's networks do it themselves (`reset_classifier`), of torchvision's the last linear layer is replaced. A
    second, distilled head becomes the same as the first.
    """
    module: Any = copy.deepcopy(backbone.module)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        heads = (
            _reset(module, classes) if hasattr(module, "reset_classifier") else _replace_last(module, classes)
        )
    found = Classifier(backbone.with_module(module), module.get_submodule(heads[0]), heads)
    _check(found, classes)
    return found


def head_of(backbone: TorchBackbone, classes: int) -> Classifier:
    """A backbone that already has a classifier for so many classes, not copied (as a loaded bundle has)."""
    module: Any = backbone.module
    names = _named(module, _classifiers(module)) if hasattr(module, "get_classifier") else _last(module)[:1]
    found = Classifier(backbone, module.get_submodule(names[0]), tuple(names))
    _check(found, classes)
    return found


def _reset(module: Any, classes: int) -> tuple[str, ...]:
    module.reset_classifier(classes)
    found = _classifiers(module)
    names = _named(module, found)
    for name in names[1:]:
        parent, _, last = name.rpartition(".")
        setattr(module.get_submodule(parent), last, found[0])
    return tuple(names)


def _classifiers(module: Any) -> list[nn.Module]:
    found = module.get_classifier()
    return list(found) if isinstance(found, list | tuple) else [found]


def _named(module: nn.Module, wanted: list[nn.Module]) -> list[str]:
    return [
        name for name, part in module.named_modules(remove_duplicate=False) if any(part is w for w in wanted)
    ]


def _last(module: nn.Module) -> list[str]:
    linear = [name for name, part in module.named_modules() if isinstance(part, nn.Linear)]
    outputs = [name for name in linear if "aux" not in name.lower()]
    if not outputs:
        raise BackboneError(
            f"{type(module).__name__} ends in no linear layer, so it cannot be given new classes."
        )
    return [outputs[-1]]


def _replace_last(module: nn.Module, classes: int) -> tuple[str, ...]:
    (name,) = _last(module)
    parent, _, last = name.rpartition(".")
    old: Any = module.get_submodule(name)
    setattr(module.get_submodule(parent), last, nn.Linear(old.in_features, classes))
    return (name,)


@torch.no_grad()
def _check(found: Classifier, classes: int) -> None:
    backbone = found.backbone
    fit = backbone.spec.fit
    source = torch.Generator().manual_seed(0)
    x = torch.rand(2, 3, fit.rows, fit.cols, generator=source).to(backbone.device)
    try:
        whole, ours = found.module(backbone.normalize(x)), found.logits(backbone.normalize(x))
        same = whole.shape == (2, classes) and torch.allclose(whole, ours, atol=1e-4)
    except (AttributeError, RuntimeError):  # a convolution (dla), a head per branch (crossvit)
        same = False
    if not same:
        raise BackboneError(
            f"The class scores of '{backbone.spec.name}' are not made from its embedding by one layer, so its "
            "classifier cannot be replaced. Choose another network; 'featurelens models' lists them."
        )
