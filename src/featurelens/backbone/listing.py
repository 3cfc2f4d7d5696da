"""Every network that can be named here, for `featurelens models`."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Listed:
    """One network: its name, where it comes from, whether it needs no download, and a word about it."""

    name: str
    source: str
    ready: bool
    note: str


def list_backbones() -> Iterator[Listed]:
    """The embedded and classical ones, then what torchvision and timm offer where they are installed."""
    yield Listed("embedded", "featurelens", True, "our own small network; the default")
    for kind, note in (
        ("hog", "histogram of oriented gradients"),
        ("colour", "colour histogram"),
        ("lbp", "local binary patterns"),
        ("hog+colour", "both, fused"),
    ):
        yield Listed(f"classic:{kind}", "featurelens", True, note)
    if importlib.util.find_spec("timm"):
        yield from _timm()
    if importlib.util.find_spec("torchvision"):
        yield from _torchvision()


def _timm() -> Iterator[Listed]:
    import timm

    for name in timm.list_models(pretrained=True):
        config = timm.get_pretrained_cfg(name)
        size = "×".join(map(str, config.input_size[1:])) if config else "?"
        yield Listed(
            name, "timm", False, f"{size} px, licence {config.license or 'not stated'}" if config else ""
        )


def _torchvision() -> Iterator[Listed]:
    import torchvision

    for name in torchvision.models.list_models(module=torchvision.models):
        yield Listed(f"torchvision:{name}", "torchvision", False, "ImageNet")
