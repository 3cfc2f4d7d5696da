"""Every network that can be named here, for `featurelens models`."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass

from featurelens.backbone import BACKBONES

# Repositories in the ONNX layout that clip: reads; any other of that layout will do.
CLIPS = {
    "Xenova/clip-vit-base-patch32": "CLIP, 224 px, small and fast",
    "Xenova/clip-vit-base-patch16": "CLIP, 224 px, finer",
    "Xenova/clip-vit-large-patch14": "CLIP, 224 px, large",
    "Xenova/siglip-base-patch16-224": "SigLIP, 224 px",
}


# Repositories of CLAP as transformers keeps it; any other will do that has safetensors.
CLAPS = {
    "laion/clap-htsat-unfused": "CLAP, windows of 10 s, general sounds",
    "laion/larger_clap_general": "CLAP, larger, general sounds",
    "laion/larger_clap_music_and_speech": "CLAP, larger, music and speech",
}


@dataclass(frozen=True)
class Listed:
    """One network: its name, where it comes from, whether it needs no download, and a word about it."""

    name: str
    source: str
    ready: bool
    note: str


def list_backbones() -> Iterator[Listed]:
    """The embedded and classical ones and plugins, then what timm and torchvision offer where they are installed."""
    yield Listed("embedded", "featurelens", True, "our own small network; the default")
    for kind, note in (
        ("hog", "histogram of oriented gradients"),
        ("colour", "colour histogram"),
        ("lbp", "local binary patterns"),
        ("hog+colour", "both, fused"),
    ):
        yield Listed(f"classic:{kind}", "featurelens", True, note)

    for scheme, package in BACKBONES.plugins().items():
        yield Listed(f"{scheme}:", package, True, f"a plugin; see {package} for what stands after the colon")

    from featurelens.backbone.cache import remembered
    from featurelens.backbone.hub import cached_networks
    from featurelens.backbone.offered import offered

    here = {*cached_networks(), *remembered()}
    for repo, note in CLIPS.items():
        yield Listed(f"clip:{repo}", "the hub", repo in here, f"image and text, no torch; {note}")
    for repo, note in CLAPS.items():
        yield Listed(f"clap:{repo}", "the hub", repo in here, f"sound and text, needs extra sound; {note}")
    if importlib.util.find_spec("timm"):
        offer = offered("timm")
        for name, note in offer.trained.items():
            yield Listed(name, "timm", name in here or offer.repos.get(name) in here, note)
    if importlib.util.find_spec("torchvision"):
        for name, note in offered("torchvision").trained.items():
            full = f"torchvision:{name}"
            yield Listed(full, "torchvision", full in here, note)
    if importlib.util.find_spec("open_clip"):
        offer = offered("open_clip")
        for name, note in offer.trained.items():
            full = f"openclip:{name}"
            yield Listed(full, "open_clip", full in here or offer.repos.get(name) in here, note)
