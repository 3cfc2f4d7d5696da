"""`clip:REPO`: from the hub's cache without asking anyone, else fetched after name, size and licence were said."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import numpy as np
import pytest

from featurelens.backbone import hub, hub_folder, load_backbone
from featurelens.backbone.clip_folder import TEXT, VISION
from featurelens.backbone.listing import list_backbones
from featurelens.backbone.protocol import with_text
from featurelens.errors import BackboneError

REPO = "someone/small-clip"
SHA = "0123456789abcdef0123456789abcdef01234567"


def put(folder: Path, names: list[Path], source: Path, hub_at: Path) -> None:
    snapshot = hub_at / f"models--{REPO.replace('/', '--')}" / "snapshots" / SHA
    for name in names:
        (snapshot / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source / name, snapshot / name)


def files(folder: Path) -> list[Path]:
    return [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]


def test_what_lies_in_the_cache_is_used_offline(clip, empty_cache: Path) -> None:
    place = hub.hub_folder()
    put(clip.folder, files(clip.folder), clip.folder, place)
    refs = place / f"models--{REPO.replace('/', '--')}" / "refs"
    refs.mkdir()
    (refs / "main").write_text(SHA)
    said: list[str] = []
    net = load_backbone(f"clip:{REPO}", threads=1, say=said.append)
    same = load_backbone(f"clip:{clip.folder}", threads=1)
    assert said == []
    assert net.spec.name == f"clip:{REPO}"
    assert net.spec.fingerprint == same.spec.fingerprint
    np.testing.assert_array_equal(
        with_text(net, "").embed_text(["a dog"]), with_text(same, "").embed_text(["a dog"])
    )


def test_offline_it_says_what_is_here_and_what_to_do(empty_cache: Path) -> None:
    with pytest.raises(BackboneError) as error:
        load_backbone(f"clip:{REPO}")
    said = str(error.value)
    assert f"'clip:{REPO}' are not here, and HF_HUB_OFFLINE is set" in said
    assert "featurelens models pull" in said
    assert "clip:FOLDER" in said


def test_a_download_says_name_size_and_licence_first_and_fetches_what_is_needed(
    clip, empty_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hub is played by the folder; only the towers, the tokenizer and the JSON files are asked for."""
    said: list[str] = []
    fetched: list[str] = []
    names = [*files(clip.folder), Path("onnx/model.onnx"), Path("pytorch_model.bin")]

    def info(self: object, repo: str, *, revision: str | None, files_metadata: bool) -> SimpleNamespace:
        siblings = [SimpleNamespace(rfilename=str(name), size=1_000_000) for name in names]
        return SimpleNamespace(siblings=siblings, sha=SHA, card_data=SimpleNamespace(license="mit"))

    def download(repo: str, name: str, *, revision: str, cache_dir: Path) -> str:
        assert said, "something was fetched before it was said"
        fetched.append(name)
        put(clip.folder, [Path(name)], clip.folder, cache_dir)
        return str(cache_dir / f"models--{repo.replace('/', '--')}" / "snapshots" / SHA / name)

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", info)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    monkeypatch.setattr(hub_folder.hub, "check_reachable", lambda name: None)
    net = load_backbone(f"clip:{REPO}", threads=1, say=said.append)
    assert said == [f"Downloading clip:{REPO}: about 7 MB from {REPO}; licence mit."]
    assert set(fetched) == {str(name) for name in files(clip.folder)}
    assert net.embed(np.zeros((1, 64, 64, 3), np.uint8)).shape == (1, 32)
    fetched.clear()
    load_backbone(f"clip:{REPO}", threads=1, say=said.append)
    assert not fetched
    assert len(said) == 1


def weights_apart(folder: Path, names: dict[str, str]) -> None:
    """Move the weights of the towers into files of these names beside them."""
    import onnx

    for graph, side in names.items():
        model = onnx.load(str(folder / graph))
        onnx.save(model, str(folder / graph), save_as_external_data=True, location=side, size_threshold=0)


def test_side_files_of_any_name_come_with_their_graph_also_after_a_stop(
    clip, empty_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The names stand in the graphs: one usual, one not. A download that was killed goes on with what is lacking."""
    source = tmp_path / "source"
    shutil.copytree(clip.folder, source)
    weights_apart(source, {VISION: "vision_model.onnx_data", TEXT: "words.bin"})
    said: list[str] = []
    fetched: list[str] = []
    names = [*files(source), Path("onnx/other.bin")]

    def info(self: object, repo: str, **asked: object) -> SimpleNamespace:
        siblings = [SimpleNamespace(rfilename=str(name), size=1_000_000) for name in names]
        return SimpleNamespace(siblings=siblings, sha=SHA, card_data=SimpleNamespace(license="mit"))

    def download(repo: str, name: str, *, revision: str, cache_dir: Path) -> str:
        if name == "onnx/words.bin" and "onnx/words.bin" not in fetched:
            fetched.append(name)
            assert len(said) == 2, "its size is said before"
            raise KeyboardInterrupt
        fetched.append(name)
        put(source, [Path(name)], source, cache_dir)
        return str(cache_dir / f"models--{repo.replace('/', '--')}" / "snapshots" / SHA / name)

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", info)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    monkeypatch.setattr(hub_folder.hub, "check_reachable", lambda name: None)
    with pytest.raises(KeyboardInterrupt):
        load_backbone(f"clip:{REPO}", threads=1, say=said.append)
    net = load_backbone(f"clip:{REPO}@{SHA}", threads=1, say=said.append)
    assert set(fetched) == {str(name) for name in files(source)}
    assert [text.partition(":")[2].split(" from")[0] for text in said[:2]] == [
        f"{REPO}: about 8 MB", f"{REPO}: about 1 MB"
    ]  # fmt: skip
    same = load_backbone(f"clip:{source}", threads=1)
    assert net.spec.weights == same.spec.weights
    np.testing.assert_array_equal(
        with_text(net, "").embed_text(["a dog"]), with_text(same, "").embed_text(["a dog"])
    )


def test_a_repository_without_the_towers_is_told(empty_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def info(self: object, repo: str, **asked: object) -> SimpleNamespace:
        return SimpleNamespace(
            siblings=[SimpleNamespace(rfilename="model.safetensors", size=1)], sha=SHA, card_data=None
        )

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", info)
    monkeypatch.setattr(hub_folder.hub, "check_reachable", lambda name: None)
    with pytest.raises(BackboneError, match=r"has no onnx/vision_model\.onnx and no onnx/text_model\.onnx"):
        load_backbone(f"clip:{REPO}")


def test_the_listing_names_them() -> None:
    names = {one.name: one for one in list_backbones()}
    assert "clip:Xenova/clip-vit-base-patch32" in names
    assert names["openclip:ViT-B-32/laion2b_s34b_b79k"].note == "image and text"
