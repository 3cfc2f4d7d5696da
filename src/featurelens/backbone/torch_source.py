"""Networks that come from torch: run by torch where that pays, else exported once and run by OpenVINO."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

from featurelens.backbone import cache
from featurelens.backbone.bundle import open_bundle
from featurelens.backbone.protocol import Backbone
from featurelens.backbone.request import Request
from featurelens.errors import BackboneError, MissingExtra

if TYPE_CHECKING:
    from featurelens.backbone.torch_backbone import TorchBackbone


def load(request: Request) -> Backbone:
    """A timm, torchvision or local-dir network on the engine that the request and the machine ask for."""
    if request.engine == "torch" or _wants_gpu(request):
        return build(request)
    folder = cache.folder_for(request)
    if not cache.holds_bundle(folder):
        from featurelens.backbone.to_onnx import export_bundle

        network = build(request)
        request.say(f"First use of {request.name}: exporting it for the CPU engine (once, some ten seconds).")
        parity = export_bundle(network, folder)
        request.say(
            f"Exported to {folder}; against torch on test images: cosine {parity.cosine:.6f}, "
            f"largest difference {parity.difference:.1e}."
        )
    return open_bundle(folder, threads=request.threads, name=request.name)


def build(request: Request) -> TorchBackbone:
    """The network on torch, with its weights; BackboneError or MissingExtra say why not."""
    for package in ("torch", "torchvision", *(() if request.scheme == "torchvision" else ("timm",))):
        if importlib.util.find_spec(package) is None:
            raise MissingExtra(package, "lab", f"The network '{request.name}'")
    try:
        if request.scheme == "torchvision":
            from featurelens.backbone.from_torchvision import build as make
        else:
            from featurelens.backbone.from_timm import build as make
    except (ImportError, RuntimeError) as error:
        raise BackboneError(
            f"torch or torchvision does not import ({error}). They must be of one build: 'featurelens doctor' "
            "tells what is installed and what to do."
        ) from error
    return make(request)


def _wants_gpu(request: Request) -> bool:
    if request.engine == "openvino" or request.device == "cpu":
        return False
    if request.device != "auto":
        return True
    if importlib.util.find_spec("torch") is None or not cache.gpu_driver_present():
        return False
    import torch

    return torch.cuda.is_available()
