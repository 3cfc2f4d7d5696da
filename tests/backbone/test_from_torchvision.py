"""torchvision's networks: what goes into the last linear layer in torchvision's own forward pass is the oracle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from featurelens.backbone import load_backbone
from featurelens.errors import BackboneError, UnknownName

torch = pytest.importorskip("torch")
torchvision = pytest.importorskip("torchvision")


def into_the_last_linear(module: Any, x: Any) -> Any:
    """What the network itself feeds its classifier's last linear layer."""
    last = [m for m in module.modules() if isinstance(m, torch.nn.Linear)][-1]
    seen: list[Any] = []
    handle = last.register_forward_pre_hook(lambda _m, inputs: seen.append(inputs[0].detach()))
    with torch.inference_mode():
        module(x)
    handle.remove()
    return seen[-1]


def normalised(pixels: np.ndarray, name: str, **how: Any) -> Any:
    preset = torchvision.models.get_model_weights(name).DEFAULT.transforms()
    mean, std = how.get("mean", preset.mean), how.get("std", preset.std)
    x = torch.from_numpy(pixels).movedim(3, 1).float() / 255
    return torchvision.transforms.functional.normalize(x, mean, std)


def drawn(name: str, count: int = 2, **options: Any) -> tuple[Any, np.ndarray]:
    """The backbone on torch, and noisy pixels of its size."""
    net = load_backbone(f"torchvision:{name}", engine="torch", device="cpu", threads=1, **options)
    fit = net.spec.fit
    return net, np.random.default_rng(3).integers(0, 256, (count, fit.rows, fit.cols, 3), dtype=np.uint8)


def difference(a: np.ndarray, b: Any) -> float:
    """Largest, as a share of the largest value: random weights let some networks' values shrink to 1e-9."""
    return float(np.abs(a - np.asarray(b)).max() / np.abs(np.asarray(b)).max())


QUICK = ["mobilenet_v3_small", "resnet18", "shufflenet_v2_x0_5", "mnasnet0_5", "efficientnet_b0"]
SLOW = [
    *("vgg16", "convnext_tiny", "densenet121", "googlenet", "inception_v3", "maxvit_t", "mobilenet_v2"),
    *("regnet_y_400mf", "vit_b_32", "swin_t"),
]


@pytest.mark.parametrize("name", [*QUICK, *(pytest.param(n, marks=pytest.mark.slow) for n in SLOW)])
def test_the_embedding_is_what_the_last_linear_layer_takes_in(name: str) -> None:
    net, pixels = drawn(name, pretrained=False)
    wanted = into_the_last_linear(net.module, normalised(pixels, name))
    found = net.embed(pixels)
    assert found.shape == (2, net.spec.dim) == tuple(wanted.shape)
    assert difference(found, wanted) <= 1e-5
    assert difference(found, wanted.flip(0)) > 1e-3, "sabotage: the images' vectors exchanged"
    maps = net.maps(pixels)
    assert maps.shape[:2] == (2, net.spec.map_channels)
    assert min(maps.shape[2:]) > 1


def test_squeezenet_has_no_linear_layer_and_gives_the_mean_of_its_map() -> None:
    net, pixels = drawn("squeezenet1_1", pretrained=False)
    with torch.inference_mode():
        features = net.module.features(normalised(pixels, "squeezenet1_1"))
    assert difference(net.maps(pixels), features) <= 1e-5
    assert difference(net.embed(pixels), features.mean((2, 3))) <= 1e-5


def test_real_mobilenet_weights_give_the_same_features_under_both_libraries_names(shared: Path) -> None:
    """The same network lies in the folder in timm's and in torchvision's form; torchvision's pads otherwise."""
    data = pytest.importorskip("skimage.data")
    file = shared / "weights" / "mobilenet_v2_torchvision.safetensors"
    half = (0.5, 0.5, 0.5)
    net, _ = drawn("mobilenet_v2", weights=file, mean=half, std=half)
    pixels = np.stack([photo[:224, 100:324] for photo in (data.astronaut(), data.chelsea())])
    wanted = into_the_last_linear(net.module, normalised(pixels, "mobilenet_v2", mean=half, std=half))
    assert difference(net.embed(pixels), wanted) <= 1e-5
    assert (net.spec.dim, net.spec.mean) == (1280, half)
    timms = load_backbone(
        f"local-dir:{shared}/weights/mobilenetv2_100.tflite_in1k", engine="torch", device="cpu"
    )
    a, b = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in (net.embed(pixels), timms.embed(pixels)))
    assert min(np.diag(a @ b.T)) > max((a @ b.T)[[0, 1], [1, 0]]) + 0.3
    assert timms.spec.weights != net.spec.weights


def test_real_squeezenet_weights_name_a_tabby(shared: Path) -> None:
    """End to end: scikit-image's cat is one of ImageNet's cats (281 to 285) to the whole network."""
    data = pytest.importorskip("skimage.data")
    from featurelens.images.decode import decode

    file = shared / "weights" / "squeezenet1_1_torchvision.safetensors"
    net, _ = drawn("squeezenet1_1", weights=file)
    pixels = decode(data.chelsea(), fit=net.spec.fit).pixels[None]
    with torch.inference_mode():
        scores = net.logits(net.normalize(net.prepare(pixels)))[0]
    assert 281 <= int(scores.argmax()) <= 285


def test_timms_weights_do_not_fit_and_that_is_said(shared: Path) -> None:
    file = shared / "weights" / "mobilenetv2_100.tflite_in1k" / "model.safetensors"
    with pytest.raises(BackboneError, match=r"do not fit MobileNetV2.*missing.*another library's version"):
        drawn("mobilenet_v2", weights=file)


@pytest.mark.parametrize("name", ["resnet18", "swin_t", "vit_b_16", "efficientnet_b0", "inception_v3"])
def test_preprocessing_is_torchvisions_own(name: str) -> None:
    from featurelens.backbone.from_torchvision import _preprocessing

    preset = torchvision.models.get_model_weights(name).DEFAULT.transforms()
    fit, mean, std = _preprocessing(preset)
    assert [fit.rows] == preset.crop_size
    assert [round(fit.rows / fit.crop_pct)] == preset.resize_size
    assert (list(mean), list(std)) == (preset.mean, preset.std)
    assert fit.interpolation == preset.interpolation.value


def test_detectors_and_unknown_names_are_refused_with_close_matches() -> None:
    with pytest.raises(UnknownName, match="resnet50"):
        load_backbone("torchvision:resnet51", engine="torch", pretrained=False)
    with pytest.raises(UnknownName):
        load_backbone("torchvision:fasterrcnn_resnet50_fpn", engine="torch", pretrained=False)
