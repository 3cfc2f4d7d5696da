"""What turns pixels (or sounds) into features: one name for every network, on the engine that suits the machine."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from featurelens.backbone.protocol import Backbone, Spec, TextBackbone
from featurelens.backbone.request import Engine, Precision, Request, Say, Triple
from featurelens.catalog import Catalog

__all__ = ["BACKBONES", "Backbone", "Spec", "TextBackbone", "load_backbone"]

BACKBONES = Catalog(
    "kind of backbone",
    {
        "embedded": "featurelens.backbone.embedded:load",
        "timm": "featurelens.backbone.torch_source:load",
        "torchvision": "featurelens.backbone.torch_source:load",
        "local-dir": "featurelens.backbone.torch_source:load",
        "onnx": "featurelens.backbone.from_onnx:load",
        "bundle": "featurelens.backbone.from_bundle:load",
        "clip": "featurelens.backbone.from_clip:load",
        "openclip": "featurelens.backbone.from_openclip:load",
        "clap": "featurelens.backbone.from_clap:load",
        "classic": "featurelens.backbone.classical:load",
        "fused": "featurelens.backbone.fused:load",
    },
    group="featurelens.backbones",
)

PATHS = ("local-dir", "onnx", "bundle", "fused")
"""The schemes whose name ends in a path of this machine."""


def load_backbone(
    name: str = "embedded",
    *,
    engine: Engine = "auto",
    device: str = "auto",
    pretrained: bool = True,
    weights: str | Path | None = None,
    size: int | None = None,
    threads: int | None = None,
    mean: Triple | None = None,
    std: Triple | None = None,
    precision: Precision = "auto",
    say: Say | None = None,
) -> Backbone:
    """Load a network by name: `embedded`, a timm name, `torchvision:NAME`, `local-dir:PATH`, `onnx:FILE`,
    `bundle:DIR`, `clip:REPO`, `clip:DIR` or `openclip:ARCH/TAG` (image and text), `clap:REPO` or
    `clap:DIR` (sound and text), `classic:NAME`, `fused:DIR`, or a scheme that an installed plugin brings.

    `engine`: "auto" is torch where CUDA is there, else OpenVINO on the CPU (the first use of a torch network
    exports it once into the cache and says so); "torch" gives gradients and layers. `weights` is a local
    safetensors or weights-only checkpoint; `pretrained=False` means random weights, the same each time.
    `size` is the side of the input in pixels, `threads` the number of cores; `precision="fp32"` computes in float32 on
    CUDA, too, where bfloat16 is usual. `say` gets notices (default: standard error). Raises UnknownName,
    BackboneError, MissingExtra, InvalidInput.

    >>> load_backbone("classic:colour").spec.name
    'classic:colour'
    """
    scheme, colon, rest = name.partition(":")
    if not colon:
        scheme, rest = ("embedded", name) if name == "embedded" else ("timm", name)
    if scheme in PATHS:
        rest = os.path.abspath(os.path.expanduser(rest))  # a gallery keeps the name, and is opened anywhere
    request = Request(
        scheme,
        rest,
        engine=engine,
        device=device,
        pretrained=pretrained,
        weights=Path(weights).expanduser() if weights else None,
        size=size,
        threads=threads,
        mean=mean,
        std=std,
        precision=precision,
        say=say or _to_stderr,
    )
    return BACKBONES.load(scheme)(request)


def _to_stderr(text: str) -> None:
    sys.stderr.write(text + "\n")
