"""timm's networks, by their own names or from a local folder in timm's format."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import timm
import torch
from torch import nn

from featurelens.backbone import hub
from featurelens.backbone.protocol import Spec
from featurelens.backbone.request import Request
from featurelens.backbone.torch_backbone import TorchBackbone, pick_device
from featurelens.backbone.weights import load_into
from featurelens.catalog import unknown
from featurelens.errors import BackboneError
from featurelens.images.fit import Fit


def build(request: Request) -> TorchBackbone:
    """The network behind a timm name or `local-dir:PATH`; its embedding is timm's `pre_logits`."""
    name = _checked_name(request)
    trained = request.pretrained and request.weights is None
    if trained and request.scheme == "timm":
        hub.announce(name, request.say)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = _create(name, trained, request.size)
    if request.weights is not None:
        load_into(module, request.weights)
    data = timm.data.resolve_model_data_config(module)
    spec = Spec(
        name=request.name,
        weights="",
        dim=0,
        fit=_fit(data, request.size),
        mean=request.mean or tuple(data["mean"]),
        std=request.std or tuple(data["std"]),
        licence=_licence(module),
    )
    return TorchBackbone(
        module,
        spec,
        features=lambda net, x: net.forward_features(x),
        pool=lambda net, f: net.forward_head(f, pre_logits=True),
        device=pick_device(request.device),
    )


def _checked_name(request: Request) -> str:
    if request.scheme == "local-dir":
        folder = Path(request.rest).expanduser()
        if not (folder / "config.json").is_file():
            raise BackboneError(
                f"local-dir:{request.rest} must be a folder with config.json and model.safetensors "
                f"(timm's format); {'there is no config.json in it' if folder.is_dir() else 'it is no folder'}."
            )
        return f"local-dir:{folder}"
    architecture, _, tag = request.rest.partition(".")
    if not timm.is_model(architecture):
        hint = "'featurelens models' lists all; other kinds are torchvision:NAME, local-dir:PATH, onnx:FILE."
        raise unknown("network", request.rest, timm.list_models(), hint=hint)
    tags = timm.list_pretrained(f"{architecture}*") if hasattr(timm, "list_pretrained") else []
    tags = tags or timm.list_models(f"{architecture}.*", pretrained=True)
    if tag and request.pretrained and request.rest not in tags:
        raise unknown("pretrained network", request.rest, tags)
    return request.rest


def _create(name: str, pretrained: bool, size: int | None) -> nn.Module:
    options: dict[str, Any] = {"img_size": size} if size else {}
    try:
        with hub.plain_errors(name):
            return timm.create_model(name, pretrained=pretrained, **options)
    except TypeError as error:
        if not size or "img_size" not in str(error):
            raise
        with hub.plain_errors(name):  # a convolutional network takes any size
            return timm.create_model(name, pretrained=pretrained)


def _fit(data: dict[str, Any], size: int | None) -> Fit:
    rows, cols = (size, size) if size else data["input_size"][1:]
    interpolation = data["interpolation"] if data["interpolation"] in ("bilinear", "bicubic") else "bicubic"
    if data.get("crop_mode") == "squash":
        return Fit(rows, cols, "squash", 1.0, interpolation)
    crop_pct = float(data["crop_pct"])
    return Fit(rows, cols, "crop", crop_pct if math.isfinite(crop_pct) else 0.875, interpolation)


def _licence(module: nn.Module) -> str:
    config = getattr(module, "pretrained_cfg", None) or {}
    return str(config.get("license") or "not stated")
