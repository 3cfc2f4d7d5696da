"""What the classes of a network are called, where that is known: those it was tuned to, or ImageNet's thousand."""

from __future__ import annotations

from typing import Any

from featurelens.backbone.torch_backbone import TorchBackbone
from featurelens.catalog import unknown
from featurelens.errors import InvalidInput


def class_names(backbone: TorchBackbone) -> list[str] | None:
    """The names of the classes, in order: those it was tuned to, or ImageNet's where it has those; else None."""
    module: Any = backbone.module
    own = getattr(module, "class_names", None)  # of a network that was fine-tuned
    if own:
        return list(own)
    config = getattr(module, "pretrained_cfg", None) or {}
    timms = config.get("num_classes") == 1000 == getattr(module, "num_classes", None)
    if not timms and not backbone.identity.startswith("torchvision:"):
        return None
    from torchvision.models import ResNet18_Weights

    return list(ResNet18_Weights.IMAGENET1K_V1.meta["categories"])


def class_by_name(backbone: TorchBackbone, text: str) -> int:
    """The number of a class, given as a number or by its name; UnknownName lists what comes close.

    Raises InvalidInput for a name where the network's classes have none.
    """
    if text.strip().lstrip("-").isdecimal():
        return int(text)
    names = class_names(backbone)
    if names is None:
        raise InvalidInput(
            f"'{text}' is not a class number, and the names of the classes of '{backbone.spec.name}' are not known."
        )
    lower = [name.lower() for name in names]
    if text.lower() not in lower:
        raise unknown("class", text, names, hint="A number works too, from 0.")
    return lower.index(text.lower())
