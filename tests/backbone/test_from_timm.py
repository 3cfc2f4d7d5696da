"""timm's networks: timm itself is the oracle for vectors, maps and preprocessing."""

from __future__ import annotations

import copy
import gc
import weakref
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from timm.data import create_transform

from featurelens.backbone import load_backbone
from featurelens.backbone.from_timm import _fit
from featurelens.errors import BackboneError
from featurelens.images.decode import decode

CNN, VIT, NHWC = "test_resnet", "test_vit", "test_mambaout"
REGISTERS = "test_vit3"


def timms_own(name: str, pixels: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """Features and embedding by timm's two functions, on the same seeded weights."""
    torch.manual_seed(0)
    net = timm.create_model(name).eval()
    mean, std = (torch.tensor(net.pretrained_cfg[k]).view(3, 1, 1) for k in ("mean", "std"))
    x = torch.from_numpy(pixels).movedim(3, 1).float() / 255
    with torch.inference_mode():
        features = net.forward_features((x - mean) / std)
        return features, net.forward_head(features, pre_logits=True)


def tiny(name: str, **options):
    return load_backbone(name, engine="torch", device="cpu", pretrained=False, threads=1, **options)


@pytest.mark.parametrize(
    "name", [CNN, VIT, NHWC, REGISTERS, "test_convnext", "test_efficientnet", "test_nfnet"]
)
def test_the_embedding_is_timms_pre_logits(name: str, pixels: np.ndarray) -> None:
    net = tiny(name)
    _, wanted = timms_own(name, pixels[:2])
    found = net.embed(pixels[:2])
    assert found.shape == (2, net.spec.dim)
    assert np.abs(found - wanted.numpy()).max() <= 1e-5
    assert np.abs(found[::-1] - wanted.numpy()).max() > 1e-4, "sabotage: the two images exchanged"


@pytest.mark.parametrize(
    ("name", "dim"),
    [("efficientnet_b0", 1280), ("resnet50", 2048), pytest.param("vgg16", 4096, marks=pytest.mark.slow)],
)
def test_the_usual_names_give_pooled_embeddings_of_probed_length(name: str, dim: int) -> None:
    net = tiny(name)
    drawn = np.random.default_rng(0).integers(0, 256, (2, net.spec.fit.rows, net.spec.fit.cols, 3), np.uint8)
    _, wanted = timms_own(name, drawn)
    found = net.embed(drawn)
    assert found.shape == (2, dim) == (2, net.spec.dim)
    assert np.abs(found - wanted.numpy()).max() <= 1e-5 * float(wanted.abs().max())
    assert net.maps(drawn).shape == (2, net.spec.map_channels, 7, 7)


def test_real_mobilenet_from_a_local_folder(shared: Path) -> None:
    folder = shared / "weights" / "mobilenetv2_100.tflite_in1k"
    net = load_backbone(f"local-dir:{folder}", engine="torch", device="cpu")
    fit = net.spec.fit
    assert (fit.rows, fit.cols, net.spec.mean, net.spec.licence) == (224, 224, (0.5, 0.5, 0.5), "apache-2.0")
    pixels = np.random.default_rng(0).integers(0, 256, (2, 224, 224, 3), np.uint8)
    module = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    with torch.inference_mode():
        features = module.forward_features(torch.from_numpy(pixels).movedim(3, 1).float() / 127.5 - 1)
        wanted = module.forward_head(features, pre_logits=True).numpy()
    assert np.abs(net.embed(pixels) - wanted).max() <= 1e-5
    assert np.abs(net.maps(pixels) - features.numpy()).max() <= 1e-5
    assert wanted.std() > 0.1


def test_the_comparison_sees_wrong_preprocessing(pixels: np.ndarray) -> None:
    """Sabotage: with ImageNet's mean instead of .5 the vectors are elsewhere."""
    _, wanted = timms_own(CNN, pixels[:2])
    found = tiny(CNN, mean=(0.485, 0.456, 0.406)).embed(pixels[:2])
    assert np.abs(found - wanted.numpy()).max() > 1e-4


def test_a_cnns_map_is_its_features(pixels: np.ndarray) -> None:
    features, _ = timms_own(CNN, pixels[:1])
    assert np.allclose(tiny(CNN).maps(pixels[:1]), features, atol=1e-5)


@pytest.mark.parametrize("name", [VIT, REGISTERS])
def test_a_vits_map_is_its_grid_of_patches_without_prefix_tokens(name: str, pixels: np.ndarray) -> None:
    features, _ = timms_own(name, pixels[:1])
    found = tiny(name).maps(pixels[:1])
    rows, cols = found.shape[2:]
    assert rows * cols < features.shape[1] or name != VIT
    for row, col in ((0, 0), (0, 3), (2, 1), (rows - 1, cols - 1)):
        token = features[0, features.shape[1] - rows * cols + row * cols + col]
        assert np.allclose(found[0, :, row, col], token, atol=1e-5)


def test_a_channels_last_networks_map_has_channels_first(pixels: np.ndarray) -> None:
    features, _ = timms_own(NHWC, pixels[:1])
    assert np.allclose(tiny(NHWC).maps(pixels[:1]), features.movedim(3, 1), atol=1e-5)


@pytest.mark.parametrize(
    "name", ["resnet50", "vit_small_patch14_dinov2.lvd142m", "efficientnet_b0", "test_vit"]
)
def test_preprocessing_is_what_timms_own_transform_does(name: str) -> None:
    from featurelens.backbone.from_timm import _fit

    net = timm.create_model(name) if name.startswith("test") else _on_meta(name)
    data = timm.data.resolve_model_data_config(net)
    resize, crop = timm.data.create_transform(**data).transforms[:2]
    fit = _fit(name, data, None)
    assert (fit.rows, fit.cols) == tuple(crop.size)
    assert fit.interpolation == resize.interpolation.value
    wanted = resize.size if isinstance(resize.size, int) else resize.size[0]
    assert int(fit.rows / fit.crop_pct + 1e-6) == wanted


def _on_meta(name: str):
    with torch.device("meta"):
        return timm.create_model(name)


def test_random_weights_are_the_same_each_time_and_leave_the_generator_alone(pixels: np.ndarray) -> None:
    torch.manual_seed(5)
    first = tiny(CNN)
    drawn = torch.rand(1)
    torch.manual_seed(5)
    assert torch.rand(1) == drawn
    second = tiny(CNN)
    assert first.spec == second.spec
    assert np.array_equal(first.embed(pixels), second.embed(pixels))


@pytest.mark.parametrize("name", [CNN, VIT])
def test_size_sets_the_input_of_cnns_and_vits(name: str) -> None:
    net = tiny(name, size=96)
    assert (net.spec.fit.rows, net.spec.fit.cols) == (96, 96)
    found = net.maps(np.zeros((1, 96, 96, 3), np.uint8))
    assert found.shape[2:] == ((6, 6) if name == VIT else (3, 3))


def test_the_licence_is_told() -> None:
    assert tiny(CNN).spec.licence == "apache-2.0"


def test_equal_weights_in_another_architecture_are_another_backbone() -> None:
    """Padding, activations and the like are in no weight; they must be in the hash."""
    from featurelens.backbone.weights import weights_hash

    net = tiny(CNN)
    assert net.spec.weights == weights_hash(net.module, net.identity)
    assert net.spec.weights != weights_hash(net.module, net.identity + " padded")
    assert replace(net.spec, name="other").fingerprint == net.spec.fingerprint


def test_a_tuned_copy_is_read_the_same_way_and_has_another_hash(pixels: np.ndarray) -> None:
    net = tiny(VIT)
    tuned = copy.deepcopy(net.module)
    with torch.no_grad():
        next(tuned.parameters()).mul_(2)
    other = net.with_module(tuned)
    assert other.spec.weights != net.spec.weights
    assert other.embed(pixels[:1]).shape == net.embed(pixels[:1]).shape
    assert replace(other.spec, weights="") == replace(net.spec, weights="")


def test_a_tuned_copys_map_is_laid_out_as_before_without_looking_again(
    pixels: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = tiny(VIT)
    other = copy.deepcopy(net.module)
    with torch.no_grad():
        next(other.parameters()).mul_(2)
    with torch.inference_mode():  # timm's own tokens, its class token first, as a grid of 10 × 10
        x = net.normalize(net.prepare(pixels))
        wanted = other.forward_features(x)[:, 1:].unflatten(1, (10, 10)).movedim(3, 1).numpy()
    monkeypatch.setattr(
        "featurelens.backbone.torch_backbone.places_of", lambda *_, **__: pytest.fail("probed")
    )
    tuned, network = net.with_module(other), weakref.ref(net.module)
    np.testing.assert_array_equal(tuned.maps(pixels), wanted)
    assert not np.array_equal(tuned.maps(pixels), net.maps(pixels))
    del net
    gc.collect()
    assert network() is None, "the layout holds the network that it was found on"


def test_every_rule_that_timm_has_for_its_pictures_is_ours_too_or_refused() -> None:
    photo = Image.fromarray(np.random.default_rng(0).integers(0, 256, (90, 150, 3), np.uint8))
    rules = {
        (c.crop_mode, c.crop_pct): c
        for c in map(timm.get_pretrained_cfg, timm.list_pretrained())
        if c is not None and c.crop_mode is not None
    }
    assert {mode for mode, _ in rules} >= {"center", "squash", "border"}
    for mode, crop_pct in rules:
        data = {
            "input_size": (3, 48, 48),
            "interpolation": "bicubic",
            "crop_pct": crop_pct,
            "crop_mode": mode,
        }
        if mode == "border":
            with pytest.raises(BackboneError, match="crop mode 'border'"):
                _fit("name", data, None)
            continue
        theirs = create_transform(**data, mean=(0, 0, 0), std=(1, 1, 1))(photo)
        ours = decode(photo, fit=_fit("name", data, None), exact=True).pixels
        assert np.array_equal(ours, (theirs * 255).round().byte().movedim(0, 2).numpy()), (mode, crop_pct)
