"""timm's networks, by their own names or from a local folder in timm's format."""

from __future__ import annotations

import json
import math
import warnings
from pathlib import Path
from typing import Any

import timm
import torch
from timm.data.config import resolve_model_data_config
from torch import Tensor, nn

from featurelens.backbone import hub
from featurelens.backbone.offered import no_network
from featurelens.backbone.protocol import Spec
from featurelens.backbone.request import Request
from featurelens.backbone.timm_folder import check_timm_folder
from featurelens.backbone.torch_backbone import TorchBackbone, pick_device
from featurelens.backbone.weights import load_into
from featurelens.catalog import unknown
from featurelens.errors import BackboneError
from featurelens.images.fit import Fit

_TOLD_BY_SHAPES = ("img_size", "num_classes")


def build(request: Request) -> TorchBackbone:
    """The network behind a timm name or `local-dir:PATH`; its embedding is timm's `pre_logits`.

    Raises UnknownName with close matches, BackboneError for weights that cannot be had or do not fit.
    """
    name = _checked_name(request)
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(0)
        module = _create(request, name)
    if request.weights is not None:
        load_into(module, request.weights)
    data = resolve_model_data_config(module)
    spec = Spec(
        name=request.name,
        weights="",
        dim=0,
        fit=_fit(request.name, data, request.size),
        mean=request.mean or tuple(data["mean"]),
        std=request.std or tuple(data["std"]),
        licence=_licence(module),
    )
    return TorchBackbone(
        module,
        spec,
        features=_features,
        pool=_pool,
        device=pick_device(request.device),
        identity=_identity(module),
        precision=request.precision,
    )


def _features(module: Any, x: Tensor) -> Any:
    return module.forward_features(x)


def _pool(module: Any, features: Any) -> Tensor:
    return module.forward_head(features, pre_logits=True)


def _identity(module: Any) -> str:
    """`timm:ARCHITECTURE {arguments}`, e.g. the padding, which the names and shapes of weights do not tell."""
    arguments = {k: v for k, v in getattr(module, "_model_args", {}).items() if k not in _TOLD_BY_SHAPES}
    architecture = (module.pretrained_cfg or {}).get("architecture", type(module).__name__)
    return f"timm:{architecture} {json.dumps(arguments, sort_keys=True, default=str)}"


def _checked_name(request: Request) -> str:
    if request.scheme == "local-dir":
        folder = Path(request.rest)
        if not (folder / "config.json").is_file():
            raise BackboneError(
                f"local-dir:{request.rest} must be a folder with config.json and model.safetensors "
                f"(timm's format); {'there is no config.json in it' if folder.is_dir() else 'it is no folder'}."
            )
        check_timm_folder(folder)
        return f"local-dir:{folder}"
    architecture, _, tag = request.rest.partition(".")
    if not timm.is_model(architecture):
        raise no_network(request, timm.list_models())
    if tag and request.pretrained and request.weights is None:
        tags = timm.list_models(f"{architecture}.*", pretrained=True)
        if request.rest not in tags:
            raise unknown("pretrained network", request.rest, tags)
    return request.rest


def _create(request: Request, name: str) -> nn.Module:
    options: dict[str, Any] = {"pretrained": request.pretrained and request.weights is None}
    options |= request.arguments
    if request.classes is not None:
        options["num_classes"] = request.classes
    if request.size:
        options["img_size"] = request.size
    with hub.plain_errors(request.name):
        if options["pretrained"] and request.scheme == "timm":
            options |= _weights_at_hand(name, request)
        try:
            return timm.create_model(name, **options)
        except TypeError as error:
            if "img_size" not in str(error):
                raise
            del options["img_size"]  # a convolutional network takes any size
            return timm.create_model(name, **options)


def _weights_at_hand(name: str, request: Request) -> dict[str, Any]:
    """Read weights that lie in the hub's cache from there, without asking the network; else announce them."""
    config = timm.get_pretrained_cfg(name)
    if config is None or not config.hf_hub_id:
        return {}
    file = hub.cached_file(config.hf_hub_id, config.hf_hub_filename)
    if file is not None:
        return {} if config.custom_load else {"pretrained_cfg_overlay": {"file": str(file)}}
    hub.check_reachable(request.name)
    hub.announce(request.name, _megabytes(name), config.hf_hub_id, config.license, request.say)
    return {}


def _megabytes(name: str) -> float | None:
    try:
        with torch.device("meta"):
            module = timm.create_model(name)
    except (RuntimeError, NotImplementedError):
        return None
    return sum(p.numel() * p.element_size() for p in module.parameters()) / 1e6


def _fit(name: str, data: dict[str, Any], size: int | None) -> Fit:
    rows, cols = (size, size) if size else data["input_size"][1:]
    interpolation = data["interpolation"] if data["interpolation"] in ("bilinear", "bicubic") else "bicubic"
    crop_pct = float(data["crop_pct"])
    crop_pct = crop_pct if math.isfinite(crop_pct) else 0.875
    mode = {"center": "crop", "squash": "squash"}.get(data.get("crop_mode") or "center")
    if mode is None:
        raise BackboneError(
            f"'{name}' takes its images by timm's crop mode '{data['crop_mode']}', which featurelens has not; "
            "it has center and squash. Choose another network."
        )
    return Fit(rows, cols, "squash" if mode == "squash" else "crop", crop_pct, interpolation)


def _licence(module: nn.Module) -> str:
    config = getattr(module, "pretrained_cfg", None) or {}
    return str(config.get("license") or "not stated")
