"""torchvision's classification networks, without their last linear layer."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import torch
import torchvision
from torch import Tensor, nn
from torchvision.transforms import InterpolationMode

from featurelens.backbone import hub
from featurelens.backbone.offered import no_network
from featurelens.backbone.protocol import Spec
from featurelens.backbone.request import Request, Triple
from featurelens.backbone.torch_backbone import TorchBackbone, pick_device
from featurelens.backbone.weights import load_into
from featurelens.images.fit import Fit

_LICENCE = "BSD-3-Clause (torchvision), trained on ImageNet"


def build(request: Request) -> TorchBackbone:
    """The network `torchvision:NAME`; its embedding is what its last linear layer takes in.

    SqueezeNet, whose classifier is a convolution, gives the mean of its feature map.
    """
    known = torchvision.models.list_models(module=torchvision.models)
    if request.rest not in known:
        raise no_network(request, known)
    enum: Any = torchvision.models.get_model_weights(request.rest)
    chosen = enum.DEFAULT if request.pretrained and request.weights is None else None
    with torch.random.fork_rng(devices=[]), hub.plain_errors(request.name):
        torch.manual_seed(0)
        if chosen is not None and not _is_here(chosen.url):
            place = urlsplit(chosen.url).hostname or "its publisher"
            hub.announce(request.name, chosen.meta.get("_file_size"), place, _LICENCE, request.say)
        options: dict[str, Any] = (
            {"init_weights": True} if request.rest in ("googlenet", "inception_v3") and not chosen else {}
        )
        if request.classes is not None:
            options["num_classes"] = request.classes
        module = torchvision.models.get_model(request.rest, weights=chosen, **options)
    if request.weights is not None:
        load_into(module, request.weights)
    fit, mean, std = _preprocessing((chosen or enum.DEFAULT).transforms())
    spec = Spec(
        name=request.name,
        weights="",
        dim=0,
        fit=Fit(request.size, request.size, "crop", fit.crop_pct, fit.interpolation) if request.size else fit,
        mean=request.mean or mean,
        std=request.std or std,
        licence=_LICENCE,
    )
    features, pool = _split(module)
    return TorchBackbone(
        module,
        spec,
        features=features,
        pool=pool,
        device=pick_device(request.device),
        identity=f"torchvision:{request.rest}",
        precision=request.precision,
    )


def _is_here(url: str) -> bool:
    return (Path(torch.hub.get_dir()) / "checkpoints" / url.rsplit("/", 1)[-1]).is_file()


def _preprocessing(transform: Any) -> tuple[Fit, Triple, Triple]:
    side, resized = int(transform.crop_size[0]), int(transform.resize_size[0])
    kind = "bilinear" if transform.interpolation == InterpolationMode.BILINEAR else "bicubic"
    return Fit(side, side, "crop", side / resized, kind), _triple(transform.mean), _triple(transform.std)


def _triple(values: Any) -> Triple:
    first, second, third = (float(v) for v in values)
    return first, second, third


def _split(module: nn.Module) -> Any:
    """(features, pool) for the families that torchvision has."""
    net: Any = module
    if isinstance(net, torchvision.models.VisionTransformer):
        return _vit_tokens, lambda m, tokens: tokens[:, 0]
    if isinstance(net, torchvision.models.SwinTransformer):
        return (
            lambda m, x: m.norm(m.features(x)),
            lambda m, f: m.flatten(m.avgpool(m.permute(f))),
        )
    if isinstance(net, torchvision.models.MaxVit):
        return _maxvit_map, lambda m, f: m.classifier[:-1](f)
    if isinstance(net, torchvision.models.SqueezeNet):
        return lambda m, x: m.features(x), lambda m, f: f.mean((2, 3))
    if isinstance(net, torchvision.models.DenseNet):
        return lambda m, x: m.features(x).relu(), lambda m, f: f.mean((2, 3))
    if hasattr(net, "features"):
        return lambda m, x: m.features(x), _classifier_without_last
    return _before_pool, lambda m, f: f.mean((2, 3))


def _classifier_without_last(module: Any, features: Tensor) -> Tensor:
    has_pool = hasattr(module, "avgpool")  # MobileNetV2 has not
    pooled = module.avgpool(features) if has_pool else features.mean((2, 3), keepdim=True)
    layers = list(module.classifier.children())
    if any(isinstance(layer, nn.Flatten) for layer in layers):
        return nn.Sequential(*layers[:-1])(pooled)
    return nn.Sequential(*layers[:-1])(pooled.flatten(1))


def _vit_tokens(module: Any, x: Tensor) -> Tensor:
    tokens = module._process_input(x)
    first = module.class_token.expand(tokens.shape[0], -1, -1)
    return module.encoder(torch.cat([first, tokens], 1))


def _maxvit_map(module: Any, x: Tensor) -> Tensor:
    x = module.stem(x)
    for block in module.blocks:
        x = block(x)
    return x


_INSTEAD_OF_CHILDREN = ("AuxLogits", "aux1", "aux2", "avgpool", "dropout", "fc")


def _before_pool(module: Any, x: Tensor) -> Tensor:
    """ResNet, RegNet, ShuffleNet, GoogLeNet, Inception, MNASNet: the children in their order, up to the pool."""
    if isinstance(module, torchvision.models.MNASNet):
        return module.layers(x)
    if isinstance(module, torchvision.models.ShuffleNetV2):
        for part in (module.conv1, module.maxpool, module.stage2, module.stage3, module.stage4, module.conv5):
            x = part(x)
        return x
    if hasattr(module, "_transform_input"):
        x = module._transform_input(x)
    for name, child in module.named_children():
        if name not in _INSTEAD_OF_CHILDREN:
            x = child(x)
    return x
