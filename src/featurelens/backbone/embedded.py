"""The small backbone that lies in the package."""

from __future__ import annotations

from pathlib import Path

from featurelens.backbone.bundle import open_bundle
from featurelens.backbone.openvino_backbone import OpenVINOBackbone
from featurelens.backbone.request import Request
from featurelens.errors import BackboneError

FOLDER = Path(__file__).with_name("embedded")


def load(request: Request) -> OpenVINOBackbone:
    """`embedded`: our own network, trained on procedural images (its MODEL_CARD.md tells how)."""
    request.refuse(
        "The embedded backbone",
        size=request.size,
        weights=request.weights,
        mean=request.mean,
        std=request.std,
    )
    if request.engine == "torch":
        raise BackboneError(
            "The embedded backbone is an exported graph without layers or gradients, which engine='torch' needs. "
            "Name a timm or torchvision network, e.g. resnet18."
        )
    return open_bundle(FOLDER, threads=request.threads, name="embedded")
