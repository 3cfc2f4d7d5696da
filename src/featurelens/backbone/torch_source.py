"""Networks that come from torch: run by torch where that pays, else exported once and run by OpenVINO."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from featurelens.backbone import cache, offered
from featurelens.backbone.bundle import is_bundle, open_bundle
from featurelens.backbone.protocol import Backbone
from featurelens.backbone.request import Request, free_cores
from featurelens.errors import BackboneError, MissingExtra

if TYPE_CHECKING:
    from featurelens.backbone.torch_backbone import TorchBackbone


def load(request: Request) -> Backbone:
    """A timm, torchvision or local-dir network on the engine that the request and the machine ask for."""
    if request.engine == "torch" or _wants_gpu(request):
        return build(request)
    folder = cache.find(request)
    if folder is None:
        folder = _export(request)
    return open_bundle(folder, threads=request.threads, name=request.name)


def build(request: Request) -> TorchBackbone:
    """The network on torch, with its weights; BackboneError or MissingExtra say why not."""
    if request.scheme == "openclip":
        return _openclip(request)
    for package in ("torch", "torchvision", *(() if request.scheme == "torchvision" else ("timm",))):
        if importlib.util.find_spec(package) is None:
            raise MissingExtra(package, "lab", f"The network '{request.name}'")
    offered.check_name(request)
    try:
        library: offered.Library = "torchvision" if request.scheme == "torchvision" else "timm"
        if library == "torchvision":
            from featurelens.backbone.from_torchvision import build as make
        else:
            from featurelens.backbone.from_timm import build as make
    except (ImportError, RuntimeError) as error:
        found = ", ".join(f"{k} {v}" for k, v in cache.versions().items() if v)
        raise BackboneError(
            f"torch or torchvision does not import ({str(error).strip().splitlines()[0]}). Installed: {found}. "
            "They must be of one build: pip install --upgrade torch torchvision. 'featurelens doctor' tells more."
        ) from error
    if offered.kept(library) is None:
        offered.keep(library)  # the next typo is told at once
    import torch

    cores = request.threads or min(torch.get_num_threads(), free_cores())
    if cores != torch.get_num_threads():
        torch.set_num_threads(cores)
    return make(request)


def _openclip(request: Request) -> TorchBackbone:
    for package in ("torch", "open_clip"):
        if importlib.util.find_spec(package) is None:
            raise MissingExtra(package, "text", f"The network '{request.name}'")
    from featurelens.backbone.from_openclip import build

    return build(request)


def _export(request: Request) -> Path:
    network = build(replace(request, device="cpu"))
    folder = cache.folder_for(request, network.spec)
    if not is_bundle(folder):
        from featurelens.backbone.to_onnx import export_bundle

        request.say(f"First use of {request.name}: exporting it for the CPU engine (once, some ten seconds).")
        parity = export_bundle(network, folder, replace_whole=False)
        if not network.spec.map_channels:
            request.say(f"It gives an embedding only, no spatial map: {network.places.why.rstrip('.')}.")
        request.say(
            f"Exported to {folder}; against torch on test images: cosine {parity.cosine:.6f}, "
            f"largest difference {parity.difference:.1e} of the largest value."
        )
    config = getattr(network.module, "pretrained_cfg", None) or {}
    trained = request.scheme == "timm" and request.pretrained and request.weights is None
    cache.remember(request, folder, repo=config.get("hf_hub_id") if trained else None)
    return folder


def _wants_gpu(request: Request) -> bool:
    if request.engine == "openvino" or request.device == "cpu":
        return False
    if request.device != "auto":
        return True
    if importlib.util.find_spec("torch") is None or not cache.gpu_driver_present():
        return False
    import torch

    return torch.cuda.is_available()
