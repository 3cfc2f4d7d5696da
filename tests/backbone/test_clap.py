"""`clap:`: transformers' own get_audio_features and get_text_features with the same weights are the oracle."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("transformers", reason="CLAP is transformers' (extra sound)")
pytest.importorskip("soundfile", reason="reads sounds (extra sound)")
import torch

from featurelens.backbone import TextBackbone, load_backbone
from featurelens.backbone.protocol import Spec
from featurelens.backbone.reader import READERS, Reader, reader_of
from featurelens.errors import BackboneError, InvalidInput, UnknownName
from featurelens.features import extract
from featurelens.images.parts import mean_vector
from fixtures.clap_nets import clap_folder
from fixtures.made_sounds import RATE, sound

TEXTS = ["rain on a roof", "the sound of a dog", "", "tone " * 90, "🐕 unknown words"]


@pytest.fixture(scope="module")
def net(clap: Any) -> Any:
    return load_backbone(f"clap:{clap.folder}", device="cpu", threads=1)


def windows(count: int = 3) -> np.ndarray:
    return np.stack([sound(kind, 0, seconds=10.0) for kind in ("tone", "bell", "noise")[:count]])


def test_sounds_are_what_transformers_makes_of_them(clap: Any, net: Any) -> None:
    heard = clap.hearing(list(windows()), sampling_rate=RATE, return_tensors="pt")
    with torch.inference_mode():
        wanted = clap.model.get_audio_features(**heard).pooler_output.numpy()
    np.testing.assert_allclose(net.embed(windows()), wanted, rtol=0, atol=1e-5)
    assert np.abs(wanted[0] - wanted[2]).max() > 0.01, "the network must tell sounds apart"


def test_a_short_sound_is_what_transformers_makes_of_the_short_sound(clap: Any, net: Any) -> None:
    short = sound("bell", 1, seconds=2.7)
    heard = clap.hearing(short, sampling_rate=RATE, return_tensors="pt")
    with torch.inference_mode():
        wanted = clap.model.get_audio_features(**heard).pooler_output.numpy()[0]
    found = mean_vector(net.embed, reader_of(net.spec).read(short))
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5)


def test_texts_are_what_transformers_makes_of_them(clap: Any, net: Any) -> None:
    assert isinstance(net, TextBackbone)
    for text in TEXTS:
        tokens = clap.tokenizer(text, return_tensors="pt", truncation=True, max_length=64)
        with torch.inference_mode():
            wanted = clap.model.get_text_features(tokens["input_ids"], tokens["attention_mask"])
        np.testing.assert_allclose(net.embed_text([text]), wanted.pooler_output.numpy(), rtol=0, atol=1e-5)
    together = net.embed_text(TEXTS)
    alone = np.concatenate([net.embed_text([text]) for text in TEXTS])
    np.testing.assert_allclose(together, alone, rtol=0, atol=1e-5)


def test_a_long_sound_is_the_mean_of_its_windows_at_length_one(net: Any) -> None:
    long = sound("chirp", 0, seconds=27.0)
    starts = [0.0, 8.5, 17.0]
    rows = [net.embed(long[None, int(s * RATE) : int(s * RATE) + 10 * RATE])[0] for s in starts]
    slow = np.mean([row / np.linalg.norm(row) for row in rows], axis=0)
    found = extract([long], net, workers=1).vectors[0]
    np.testing.assert_allclose(found, slow / np.linalg.norm(slow), rtol=0, atol=1e-5)


def test_the_vector_does_not_depend_on_the_batch(net: Any) -> None:
    sounds = [sound("noise", i, seconds=seconds) for i, seconds in enumerate((2.0, 31.0, 9.0, 12.0))]
    one = extract(sounds, net, workers=1, batch_size=1)
    many = extract(sounds, net, workers=2, batch_size=3)
    assert one.ids == many.ids
    np.testing.assert_allclose(one.vectors, many.vectors, rtol=0, atol=1e-5)


def test_a_model_with_fusion_gives_the_same_each_time(tmp_path: Path) -> None:
    """transformers calls one sound of a batch 'longer' at random, which is for training."""
    made = clap_folder(tmp_path / "fused", fused=True)
    net = load_backbone(f"clap:{made.folder}", device="cpu")
    first = net.embed(windows())
    for seed in range(3):
        np.random.seed(seed)  # noqa: NPY002 (what transformers draws from)
        np.testing.assert_array_equal(net.embed(windows()), first)
    heard = made.hearing(list(windows()), sampling_rate=RATE, return_tensors="pt")
    with torch.inference_mode():
        plain = made.model.get_audio_features(heard["input_features"], is_longer=torch.zeros(3, 1) > 0)
        random = made.model.get_audio_features(**heard)
    np.testing.assert_allclose(first, plain.pooler_output.numpy(), rtol=0, atol=1e-5)
    assert np.abs(random.pooler_output.numpy() - first).max() > 1e-4, "the sabotage must show"


def test_the_spec_says_how_sounds_are_heard(clap: Any, net: Any) -> None:
    spec = net.spec
    assert spec.modality == "sound"
    assert spec.reading == {"rate": 48_000, "seconds": 10.0, "most": 60, "fill": "repeatpad"}
    assert (spec.dim, spec.licence, spec.text, spec.things) == (24, "apache-2.0", True, "sounds")
    again = Spec.from_json(json.loads(json.dumps(spec.to_json())))
    assert again == spec
    assert again.fingerprint == spec.fingerprint
    assert isinstance(reader_of(spec), Reader)
    with pytest.raises(BackboneError, match="gives no map"):
        net.maps(windows())
    with pytest.raises(InvalidInput, match=r"480,000\] \(10 s at 48,000 Hz\)"):
        net.embed(np.zeros((1, 100), np.float32))
    with pytest.raises(InvalidInput, match="layers and poolings are of networks that take images"):
        extract([windows()[0]], net, pooling="avg")


def test_the_specs_of_images_are_as_they_were() -> None:
    """Galleries and bundles that were made before there were sounds keep their fingerprints."""
    spec = Spec("a", weights="b", dim=3)
    assert not {"modality", "reading"} & set(spec.to_json())
    assert spec.fingerprint == "423627720a99"  # as it was before


def test_weights_decide_the_fingerprint(clap: Any, net: Any, tmp_path: Path) -> None:
    other = clap_folder(tmp_path / "other", seed=1)
    assert load_backbone(f"clap:{other.folder}", device="cpu").spec.fingerprint != net.spec.fingerprint
    moved = tmp_path / "moved"
    shutil.copytree(clap.folder, moved)
    assert load_backbone(f"clap:{moved}", device="cpu").spec.fingerprint == net.spec.fingerprint
    told = json.loads((moved / "preprocessor_config.json").read_text())
    (moved / "preprocessor_config.json").write_text(json.dumps(told | {"frequency_min": 80}))
    assert load_backbone(f"clap:{moved}", device="cpu").spec.fingerprint != net.spec.fingerprint
    first, second = (
        load_backbone(f"clap:{clap.folder}", device="cpu", pretrained=False).spec.fingerprint for _ in "ab"
    )
    assert first == second != net.spec.fingerprint


def test_what_cannot_be_loaded_says_why(clap: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    with pytest.raises(BackboneError, match="HF_HUB_OFFLINE is set"):
        load_backbone("clap:laion/clap-htsat-unfused")
    with pytest.raises(BackboneError, match="There is no folder"):
        load_backbone(f"clap:{tmp_path / 'none'}")
    with pytest.raises(BackboneError, match=r"holds no config\.json"):
        load_backbone(f"clap:{tmp_path}")
    with pytest.raises(BackboneError, match="runs on torch"):
        load_backbone(f"clap:{clap.folder}", engine="openvino")
    with pytest.raises(InvalidInput, match="size=96"):
        load_backbone(f"clap:{clap.folder}", size=96)
    with pytest.raises(UnknownName, match="no modality named 'smell'"):
        reader_of(Spec("a", weights="", dim=1, modality="smell"))
    assert "sound" in READERS
    broken = tmp_path / "broken"
    shutil.copytree(clap.folder, broken)
    (broken / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(BackboneError, match="damaged"):
        load_backbone(f"clap:{broken}")
    config = json.loads((clap.folder / "config.json").read_text())
    config["text_config"]["hidden_size"] = config["text_config"]["intermediate_size"] = 64
    shutil.copy(clap.folder / "model.safetensors", broken)
    (broken / "config.json").write_text(json.dumps(config))
    with pytest.raises(BackboneError, match="do not fit"):
        load_backbone(f"clap:{broken}")
