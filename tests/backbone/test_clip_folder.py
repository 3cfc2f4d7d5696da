"""`clip:FOLDER`: towers in the hub's ONNX layout against their torch originals, and what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from featurelens.backbone import TextBackbone, load_backbone
from featurelens.backbone.clip_folder import read_clip_folder
from featurelens.errors import BackboneError, InvalidInput

pytest.importorskip("open_clip", reason="the towers are made with open_clip (extra text)")
import open_clip
import torch

from fixtures.clip_nets import Made

TEXTS = ["a red dress on a chair", "", "two dogs", "a photo of a cat " * 40, "café 👗 ثوب أحمر"]


def load(folder: Path) -> TextBackbone:
    found = load_backbone(f"clip:{folder}", threads=1)
    assert isinstance(found, TextBackbone)
    return found


def pixels(net: TextBackbone, count: int = 5) -> np.ndarray:
    fit = net.spec.fit
    return np.random.default_rng(0).integers(0, 256, (count, fit.rows, fit.cols, 3), dtype=np.uint8)


def given(net: TextBackbone, images: np.ndarray) -> torch.Tensor:
    """Pixels as torch takes them: normalised, channels first."""
    ready = (images / 255 - np.array(net.spec.mean)) / np.array(net.spec.std)
    return torch.from_numpy(ready.transpose(0, 3, 1, 2).astype(np.float32))


def cosines(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


def test_clip_towers_are_open_clips(clip: Made) -> None:
    net = load(clip.folder)
    images = pixels(net)
    with torch.inference_mode():
        wanted_images = clip.image(given(net, images)).numpy()
        wanted_texts = clip.text(open_clip.SimpleTokenizer()(TEXTS)).numpy()
    assert cosines(net.embed(images), wanted_images).min() > 0.9999
    assert cosines(net.embed_text(TEXTS), wanted_texts).min() > 0.9999
    np.testing.assert_allclose(net.embed_text(TEXTS), wanted_texts, rtol=0, atol=1e-4)
    # the towers tell their inputs apart, so that agreeing means something
    assert cosines(wanted_texts[:1], wanted_texts[2:3])[0] < 0.99
    assert cosines(net.embed_text(["two cats"]), wanted_texts[2:3])[0] < 0.9999
    assert (net.spec.dim, net.spec.text, net.spec.licence) == (32, True, "mit")


def test_siglip_towers_are_their_originals(siglip: Made) -> None:
    net = load(siglip.folder)
    images = pixels(net)
    texts = ["Red dress!", "red dress", "a blue dress, 1970", "dress " * 80]
    tokenizer = pytest.importorskip("tokenizers").Tokenizer.from_file(str(siglip.folder / "tokenizer.json"))
    rows = [tokenizer.encode(t).ids for t in ("red dress", "red dress", "a blue dress 1970", "dress " * 80)]
    ids = [row + [1] * (64 - len(row)) if len(row) <= 64 else [*row[:63], 1] for row in rows]
    with torch.inference_mode():
        wanted_images = siglip.image(given(net, images))[1].numpy()
        wanted_texts = siglip.text(torch.tensor(ids))[1].numpy()
    assert cosines(net.embed(images), wanted_images).min() > 0.9999
    assert cosines(net.embed_text(texts), wanted_texts).min() > 0.9999
    assert net.spec.fit.mode == "squash"


def test_maps_are_the_last_tokens(clip: Made, siglip: Made) -> None:
    """SigLIP's graph names them; in CLIP's they are found: the last block's sum, without the class token."""
    for made, channels in ((clip, 64), (siglip, 48)):
        net = load(made.folder)
        images = pixels(net, 3)
        with torch.inference_mode():
            if made is clip:
                visual = made.image.net.visual
                kept: list[torch.Tensor] = []
                hook = visual.transformer.register_forward_hook(lambda m, i, o, kept=kept: kept.append(o))
                made.image(given(net, images))
                hook.remove()
                tokens = kept[0][:, 1:]
            else:
                tokens = made.image(given(net, images))[0]
        wanted = tokens.transpose(1, 2).reshape(3, channels, 4, 4).numpy()
        np.testing.assert_allclose(net.maps(images), wanted, rtol=0, atol=2e-4)


def test_siglips_vector_is_made_from_its_map_and_clips_is_not(clip: Made, siglip: Made) -> None:
    net = load(siglip.folder)
    images = pixels(net, 3)
    np.testing.assert_allclose(net.head(net.maps(images)), net.embed(images), rtol=0, atol=1e-4)  # type: ignore[attr-defined]
    assert not np.allclose(net.head(0.5 * net.maps(images)), net.embed(images), atol=1e-3)  # type: ignore[attr-defined]
    other = load(clip.folder)
    with pytest.raises(BackboneError, match="not made from its map alone"):
        other.head(other.maps(images))  # type: ignore[attr-defined]


def test_batches_of_texts_are_each_text(clip: Made) -> None:
    net = load(clip.folder)
    texts = [f"number {i} of many" for i in range(70)]
    together = net.embed_text(texts)
    np.testing.assert_allclose(
        together[[0, 33, 69]], np.vstack([net.embed_text([texts[i]]) for i in (0, 33, 69)]), atol=1e-5
    )
    assert net.embed_text([]).shape == (0, 32)


def test_one_text_alone_is_refused(clip: Made) -> None:
    with pytest.raises(InvalidInput, match=r"takes a list of texts, not one text"):
        load(clip.folder).embed_text("a red dress")


def test_another_text_tower_is_another_backbone(clip: Made, tmp_path: Path) -> None:
    other = shutil.copytree(clip.folder, tmp_path / "other")
    assert load(other).spec.fingerprint == load(clip.folder).spec.fingerprint
    text = other / "onnx" / "text_model.onnx"
    text.write_bytes(text.read_bytes() + b"\x00")
    assert load_backbone(f"clip:{other}").spec.fingerprint != load(clip.folder).spec.fingerprint


def test_weights_beside_a_tower_are_hashed_whatever_their_file_is_called(clip: Made, tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    other = shutil.copytree(clip.folder, tmp_path / "other")
    text = other / "onnx" / "text_model.onnx"
    onnx.save(onnx.load(str(text)), str(text), save_as_external_data=True, location="weights.bin")
    before, beside = read_clip_folder(other).digest(), other / "onnx" / "weights.bin"
    beside.write_bytes(beside.read_bytes()[:-1] + b"?")
    assert read_clip_folder(other).digest() != before


@pytest.mark.parametrize(
    ("file", "told"),
    [
        ("onnx/text_model.onnx", r"holds no onnx/text_model\.onnx"),
        ("tokenizer.json", r"holds no tokenizer\.json"),
        ("preprocessor_config.json", "optimum-cli"),
    ],
)
def test_what_is_missing_is_named(clip: Made, tmp_path: Path, file: str, told: str) -> None:
    other = shutil.copytree(clip.folder, tmp_path / "other")
    (other / file).unlink()
    with pytest.raises(BackboneError, match=told):
        load(other)


def test_damaged_files_are_named(clip: Made, tmp_path: Path) -> None:
    other = shutil.copytree(clip.folder, tmp_path / "other")
    (other / "tokenizer.json").write_text(json.dumps({"version": "1.0"}))
    with pytest.raises(BackboneError, match="cannot be read as a tokenizer"):
        load(other).embed_text(["a"])
    (other / "preprocessor_config.json").write_text('{"size": "large"}')
    with pytest.raises(BackboneError, match=r"JSON files of .* are not understood"):
        load(other)


def test_towers_of_two_models_do_not_fit(clip: Made, siglip: Made, tmp_path: Path) -> None:
    other = shutil.copytree(clip.folder, tmp_path / "other")
    shutil.copy(siglip.folder / "onnx/text_model.onnx", other / "onnx/text_model.onnx")
    with pytest.raises(BackboneError, match=r"expected an output \[batch, 32\], as long as"):
        load(other).embed_text(["a"])
    shutil.copy(clip.folder / "onnx/vision_model.onnx", other / "onnx/text_model.onnx")
    with pytest.raises(BackboneError, match="takes pixel_values; a text tower takes input_ids"):
        load(other).embed_text(["a"])


def test_torch_is_refused_and_no_folder_said(clip: Made, tmp_path: Path) -> None:
    with pytest.raises(BackboneError, match="openclip:ARCH/TAG"):
        load_backbone(f"clip:{clip.folder}", engine="torch")
    with pytest.raises(BackboneError, match="There is no folder"):
        load_backbone(f"clip:{tmp_path / 'nowhere'}")
    with pytest.raises(InvalidInput, match="does not take size=32"):
        load_backbone(f"clip:{clip.folder}", size=32)
