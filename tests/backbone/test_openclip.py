"""`openclip:`: OpenCLIP's own encode_image and encode_text are the oracle, on both engines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("open_clip", reason="needs open_clip (extra text)")
import open_clip
import torch

from featurelens.backbone import TextBackbone, load_backbone
from featurelens.backbone.protocol import with_text
from featurelens.errors import BackboneError, InvalidInput, UnknownName
from fixtures.clip_nets import openclip_folder

TEXTS = ["a red dress on a chair", "", "two dogs", "👗 " * 90, "ثوب أحمر"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    folder = tmp_path_factory.mktemp("openclip") / "small"
    return folder, openclip_folder(folder)


def images(net: TextBackbone) -> tuple[np.ndarray, torch.Tensor]:
    fit = net.spec.fit
    pixels = np.random.default_rng(0).integers(0, 256, (5, fit.rows, fit.cols, 3), dtype=np.uint8)
    ready = (pixels / 255 - np.array(net.spec.mean)) / np.array(net.spec.std)
    return pixels, torch.from_numpy(ready.transpose(0, 3, 1, 2).astype(np.float32))


def test_on_torch_it_is_open_clip_itself(made: tuple[Path, Any]) -> None:
    folder, original = made
    net = load_backbone(f"openclip:{folder}", engine="torch", device="cpu")
    assert isinstance(net, TextBackbone)
    pixels, ready = images(net)
    with torch.inference_mode():
        np.testing.assert_allclose(net.embed(pixels), original.encode_image(ready).numpy(), rtol=0, atol=1e-5)
        tokens = open_clip.SimpleTokenizer()(TEXTS)
        np.testing.assert_allclose(
            net.embed_text(TEXTS), original.encode_text(tokens).numpy(), rtol=0, atol=1e-5
        )
    assert net.maps(pixels).shape == (5, 64, 4, 4)
    assert any("resblocks" in layer.name for layer in net.layers())  # type: ignore[attr-defined]


def test_on_the_cpu_engine_the_vectors_are_the_same(made: tuple[Path, Any], cache: Path) -> None:
    folder, original = made
    said: list[str] = []
    net = load_backbone(f"openclip:{folder}", engine="openvino", threads=1, say=said.append)
    assert isinstance(net, TextBackbone)
    pixels, ready = images(net)
    with torch.inference_mode():
        wanted = original.encode_image(ready).numpy()
        texts = original.encode_text(open_clip.SimpleTokenizer()(TEXTS)).numpy()
    ours = net.embed(pixels)
    assert (
        (ours * wanted).sum(1) / np.linalg.norm(ours, axis=1) / np.linalg.norm(wanted, axis=1)
    ).min() > 0.9999
    np.testing.assert_allclose(net.embed_text(TEXTS), texts, rtol=0, atol=1e-5)
    assert net.spec.text
    assert any("First use" in one for one in said)
    again: list[str] = []
    load_backbone(f"openclip:{folder}", engine="openvino", threads=1, say=again.append)
    assert not again


@pytest.mark.parametrize(
    ("kind", "config", "shape"),
    [
        ("ModifiedResNet", {"layers": (1, 1, 1, 1), "width": 8, "head_width": 32}, (2, 256, 2, 2)),
        ("TimmModel", {"timm_model_name": "test_resnet", "timm_pool": "", "timm_proj": "linear"}, None),
        ("TimmModel", {"timm_model_name": "test_vit", "timm_pool": "token", "timm_proj": "linear"}, None),
        ("VisionTransformer", {"layers": 1, "width": 64, "head_width": 32, "patch_size": 16}, (2, 17, 64)),
        (
            "VisionTransformer",
            {"layers": 1, "width": 64, "head_width": 32, "patch_size": 16, "attentional_pool": True},
            (2, 17, 64),
        ),
    ],
)
def test_every_kind_of_image_tower_in_two_steps_is_itself(
    kind: str, config: dict[str, Any], shape: tuple[int, ...] | None
) -> None:
    from featurelens.backbone.openclip_steps import steps

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        tower = open_clip.model._build_vision_tower(
            16, open_clip.CLIPVisionCfg(image_size=64, **config)
        ).eval()
        x = torch.rand(2, 3, 64, 64)
    assert type(tower).__name__ == kind
    features, pool = steps(tower)
    with torch.inference_mode():
        places = features(tower, x)
        np.testing.assert_allclose(pool(tower, places), tower(x), rtol=0, atol=1e-5)
    assert shape is None or tuple(places.shape) == shape


def test_random_weights_by_name_are_the_same_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    from fixtures.clip_nets import CLIP_CONFIG

    monkeypatch.setitem(open_clip.factory._MODEL_CONFIGS, "ViT-tiny-test", CLIP_CONFIG)
    first, second = (
        load_backbone("openclip:ViT-tiny-test", engine="torch", device="cpu", pretrained=False)
        for _ in range(2)
    )
    assert first.spec.weights == second.spec.weights
    assert first.spec.name == "openclip:ViT-tiny-test"
    np.testing.assert_array_equal(
        with_text(first, "").embed_text(["a dog"]), with_text(second, "").embed_text(["a dog"])
    )


@pytest.mark.parametrize(
    ("name", "error", "told"),
    [
        ("openclip:ViT-B-32/laion2b_s34b_b79", UnknownName, "Close matches: laion2b_s34b_b79k"),
        ("openclip:ViT-B-33/openai", UnknownName, "There is no OpenCLIP architecture named 'ViT-B-33'"),
        ("openclip:ViT-B-32", BackboneError, "with one of the tags openai"),
        ("openclip:ViT-B-32/openai", BackboneError, "HF_HUB_OFFLINE is set"),
        ("openclip:/no/such/folder", BackboneError, "There is no folder"),
    ],
)
def test_what_cannot_be_had_is_told(name: str, error: type[Exception], told: str, empty_cache: Path) -> None:
    with pytest.raises(error, match=told):
        load_backbone(name, engine="torch", device="cpu")


def test_a_folder_without_its_parts_is_told(tmp_path: Path) -> None:
    with pytest.raises(BackboneError, match=r"holds no open_clip_config\.json"):
        load_backbone(f"openclip:{tmp_path}", engine="torch", device="cpu")
    openclip_folder(tmp_path / "small")
    (tmp_path / "small" / "open_clip_model.safetensors").unlink()
    with pytest.raises(BackboneError, match="holds no weights"):
        load_backbone(f"openclip:{tmp_path / 'small'}", engine="torch", device="cpu")
    with pytest.raises(InvalidInput, match="does not take size=32"):
        load_backbone(f"openclip:{tmp_path / 'small'}", size=32)


def test_before_a_download_name_size_and_licence_are_said(
    empty_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from featurelens.backbone import openclip_weights

    monkeypatch.setattr(openclip_weights.hub, "check_reachable", lambda name: None)
    monkeypatch.setattr(openclip_weights, "_licence", lambda repo: "mit")
    said: list[str] = []

    def fetch(told: dict[str, Any]) -> str:
        raise FileNotFoundError("cut off")  # nothing is fetched in a test

    monkeypatch.setattr(openclip_weights.open_clip, "download_pretrained", fetch)
    with pytest.raises(BackboneError, match="FileNotFoundError: cut off"):
        load_backbone("openclip:ViT-B-32/laion2b_s34b_b79k", engine="torch", device="cpu", say=said.append)
    assert said[0].startswith(
        "Downloading openclip:ViT-B-32/laion2b_s34b_b79k: about 605 MB from laion/CLIP-ViT-B-32"
    )
    assert said[0].endswith("licence mit.")
