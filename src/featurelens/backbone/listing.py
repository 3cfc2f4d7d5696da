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

    from featurelens.backbone.cache import remembered
    from featurelens.backbone.hub import cached_networks

    here = {*cached_networks(), *remembered()}
    for name in timm.list_models(pretrained=True):
        config = timm.get_pretrained_cfg(name)
        if config is None:
            continue
        size = "×".join(map(str, config.input_size[1:]))
        ready = name in here or config.hf_hub_id in here
        yield Listed(name, "timm", ready, f"{size} px, licence {config.license or 'not stated'}")


def _torchvision() -> Iterator[Listed]:
    import torchvision

    from featurelens.backbone.cache import remembered

    exported = remembered()
    for name in torchvision.models.list_models(module=torchvision.models):
        full = f"torchvision:{name}"
        yield Listed(full, "torchvision", full in exported, "trained on ImageNet")
