"""The embedded backbone as a torch network again, read out of the ONNX file that lies in the package."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from featurelens.adapt.embedded import PLAN
from featurelens.adapt.recipe import MEAN, STD
from featurelens.backbone.embedded import FOLDER
from featurelens.errors import BackboneError, MissingExtra
from featurelens.nn.descriptor import STAGES, Descriptor

ARCHITECTURE = "resnet18"
OPTIONS: dict[str, Any] = {"channels": [32, 64, 128, 256]}


def recovered(file: Path = FOLDER / "model.onnx") -> Descriptor:
    """The whole descriptor, in eval mode; its outputs are those of the file. Raises BackboneError for another network.

    >>> recovered().trunk.conv1.weight.shape
    torch.Size([64, 3, 7, 7])
    """
    import timm

    stored, norms = _read(file)
    trunk = timm.create_model(ARCHITECTURE, features_only=True, out_indices=STAGES, **OPTIONS)
    descriptor = Descriptor(trunk, mean=MEAN, std=STD, plan=PLAN).eval()
    with torch.no_grad():
        try:
            _fill_trunk(trunk, stored, norms)
            kept = descriptor.state_dict()
            for name in kept:
                if name.startswith("branches."):
                    kept[name].copy_(stored[name])
        except (KeyError, RuntimeError) as error:
            raise BackboneError(f"{file} is not the embedded backbone's network: {error!r}.") from error
    return descriptor


def _fill_trunk(trunk: nn.Module, stored: dict[str, Tensor], norms: dict[str, tuple[str, ...]]) -> None:
    """Convolutions by their names; batch norms by their nodes, since two that are equal share their numbers."""
    layers = dict(trunk.named_modules())
    for name, layer in layers.items():
        if isinstance(layer, nn.Conv2d):
            layer.weight.copy_(stored[f"trunk.{name}.weight"])
        elif isinstance(layer, nn.BatchNorm2d):
            own = (layer.weight, layer.bias, layer.running_mean, layer.running_var)
            for tensor, source in zip(own, norms[f"trunk.{name}"], strict=True):
                assert tensor is not None
                tensor.copy_(stored[source])


def _read(file: Path) -> tuple[dict[str, Tensor], dict[str, tuple[str, ...]]]:
    """The file's constants by the names that they had in torch, in single precision; those of each batch norm, in order."""
    try:
        import onnx
        from onnx import numpy_helper
    except ModuleNotFoundError as error:
        raise MissingExtra("onnx", "lab", "Starting from the embedded backbone") from error

    def plain(name: str) -> str:
        return name.removeprefix("network.").removesuffix("_half")

    graph = onnx.load(str(file)).graph
    stored = {
        plain(item.name): torch.tensor(numpy_helper.to_array(item).astype("float32"))
        for item in graph.initializer
        if item.data_type in (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16)
    }
    norms = {
        plain(node.input[3]).removesuffix(".running_mean"): tuple(map(plain, node.input[1:]))
        for node in graph.node
        if node.op_type == "BatchNormalization"
    }
    return stored, norms
