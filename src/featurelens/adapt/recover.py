"""The embedded backbone as a torch network again, read out of the ONNX file that lies in the package."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from featurelens.adapt.embedded import PLAN
from featurelens.adapt.recipe import MEAN, STD
from featurelens.backbone.embedded import FOLDER
from featurelens.errors import BackboneError, MissingExtra
from featurelens.images.procedural import render_tensor
from featurelens.nn.descriptor import Descriptor

ARCHITECTURE = "resnet18"
OPTIONS: dict[str, Any] = {"channels": [32, 64, 128, 256]}


def recovered(file: Path = FOLDER / "model.onnx") -> Descriptor:
    """The whole descriptor, in eval mode; its outputs are those of the file.

    The exporter has folded each batch norm into the convolution before it. Here it comes back as the identity
    with the folded bias, and `unfold` gives it statistics again. Raises BackboneError for another network.

    >>> recovered().trunk.conv1.weight.shape
    torch.Size([64, 3, 7, 7])
    """
    import timm

    stored = _constants(file)
    trunk = timm.create_model(ARCHITECTURE, features_only=True, **OPTIONS)
    descriptor = Descriptor(trunk, mean=MEAN, std=STD, plan=PLAN).eval()
    with torch.no_grad():
        try:
            _fill_trunk(trunk, stored)
            kept = descriptor.state_dict()
            for name in kept:
                if name.startswith("branches."):
                    kept[name].copy_(stored[name])
        except (KeyError, RuntimeError) as error:
            raise BackboneError(f"{file} is not the embedded backbone's network: {error!r}.") from error
    return descriptor


@torch.no_grad()
def unfold(network: nn.Module, images: Tensor | Iterable[Tensor]) -> None:
    """Give identity batch norms the statistics of normalised `images`, without changing what the network computes.

    With mean m and variance v before it, a batch norm of weight w √(v + ε) and bias b + w m computes what one of
    weight w, bias b, mean 0 and variance 1 did; but now it can be trained, since a batch's own statistics come out
    alike. `images` may come in batches.
    """
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    sums: dict[nn.BatchNorm2d, list[Any]] = {norm: [0, 0.0, 0.0] for norm in norms}  # places, values, squares

    def note(norm: Any, inputs: tuple[Tensor, ...]) -> None:
        values = inputs[0].transpose(0, 1).flatten(1).double()
        own = sums[norm]
        own[0] += values.shape[1]
        own[1], own[2] = own[1] + values.sum(1), own[2] + values.square().sum(1)

    hooks = [norm.register_forward_pre_hook(note) for norm in norms]
    try:
        network.eval()
        for batch in [images] if isinstance(images, Tensor) else images:
            network(batch)
    finally:
        for hook in hooks:
            hook.remove()
    for norm, (count, total, squares) in sums.items():
        if not count:
            continue  # it did not run
        assert norm.running_mean is not None
        assert norm.running_var is not None
        mean = total / count
        variance = ((squares - count * mean.square()) / max(1, count - 1)).clamp(min=0)
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(variance)
        norm.bias.add_(norm.weight * mean)
        norm.weight.mul_((variance + norm.eps).sqrt())


def scenes(count: int, size: int, *, seed: int = 5) -> Tensor:
    """Normalised procedural images, for `unfold` where there are no photos."""
    images = render_tensor(programmes=count, views=1, size=size, seed=seed).float() / 255
    return (images - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]


def _fill_trunk(trunk: nn.Module, stored: dict[str, Tensor]) -> None:
    """Convolutions from the file; behind each, a batch norm that only adds the folded bias."""
    layers = dict(trunk.named_modules())
    for name, layer in layers.items():
        if not isinstance(layer, nn.Conv2d):
            continue
        layer.weight.copy_(stored[f"trunk.{name}.weight"])
        head, _, last = name.rpartition(".")
        after = f"{head}.1" if last == "0" else f"{head}.{last.replace('conv', 'bn')}".lstrip(".")
        norm = layers[after]
        assert isinstance(norm, nn.BatchNorm2d)
        assert norm.running_var is not None
        norm.running_var.fill_(1 - norm.eps)
        norm.weight.fill_(1)  # timm begins the last of a block at zero
        norm.bias.copy_(stored[f"trunk.{name}.weight_bias"])


def _constants(file: Path) -> dict[str, Tensor]:
    """The file's constants by the names that they had in torch, in single precision."""
    try:
        import onnx
        from onnx import numpy_helper
    except ModuleNotFoundError as error:
        raise MissingExtra("onnx", "lab", "Starting from the embedded backbone") from error
    return {
        item.name.removeprefix("network.").removesuffix("_half"): torch.tensor(
            numpy_helper.to_array(item).astype("float32")
        )
        for item in onnx.load(str(file)).graph.initializer
        if item.data_type in (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16)
    }
