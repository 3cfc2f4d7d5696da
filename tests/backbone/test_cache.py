"""The cache of exported networks: made once and said so, found without torch, mended when broken."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from featurelens.backbone import cache as keeper
from featurelens.backbone import load_backbone, torch_source
from featurelens.backbone.bundle import is_bundle
from featurelens.backbone.request import Request
from featurelens.errors import BackboneError
from fixtures.small_backbone import small

torch = pytest.importorskip("torch")
pytest.importorskip("timm")
pytest.importorskip("onnxscript")

from featurelens.backbone.torch_backbone import TorchBackbone  # noqa: E402

PIXELS = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
REQUEST = Request("timm", "test_resnet", device="cpu")

IN_A_NEW_PROCESS = """
import sys, json, numpy as np
from featurelens.backbone import load_backbone
said = []
net = load_backbone("test_resnet", device="cpu", pretrained=False, size=96, say=said.append)
pixels = np.random.default_rng(0).integers(0, 256, (2, 96, 96, 3), dtype=np.uint8)
heavy = [m for m in ("torch", "timm", "torchvision", "onnx", "onnxscript") if m in sys.modules]
print(json.dumps({"said": said, "heavy": heavy, "vectors": net.embed(pixels).tolist()}))
"""


def new_process() -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", IN_A_NEW_PROCESS], stdout=subprocess.PIPE, text=True)


def answer(process: subprocess.Popen[str]) -> dict:
    out, _ = process.communicate(timeout=280)
    assert process.returncode == 0
    return json.loads(out.splitlines()[-1])


@pytest.fixture
def networks(monkeypatch: pytest.MonkeyPatch, empty_cache: Path) -> dict[str, int]:
    """Stands for the libraries: `networks["seed"]` are the weights that they would load now."""
    state = {"seed": 0, "built": 0, "lies": 0}

    def build(request: Request) -> object:
        state["built"] += 1
        return small(state["seed"], name=request.name, lies=bool(state["lies"]))

    monkeypatch.setattr(torch_source, "build", build)
    return state


@pytest.fixture
def exported(networks: dict, empty_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache in which the network of seed 0 lies; copied, because an export takes a second."""
    kept = tmp_path_factory.getbasetemp() / "exported-once"
    if kept.is_dir():
        shutil.copytree(kept, empty_cache)
    else:
        use()
        shutil.copytree(empty_cache, kept)
    networks["built"] = 0
    return empty_cache


def use(said: list[str] | None = None) -> np.ndarray:
    sink = [] if said is None else said
    return load_backbone("test_resnet", device="cpu", say=sink.append).embed(PIXELS)


def test_the_first_use_exports_checks_and_says_so_and_the_second_does_neither(networks: dict) -> None:
    said: list[str] = []
    first = use(said)
    assert "First use of test_resnet: exporting it" in said[0]
    assert "cosine 1.0000" in said[1]
    np.testing.assert_allclose(first, small(0).embed(PIXELS), atol=1e-5)
    said.clear()
    np.testing.assert_array_equal(use(said), first)
    assert (said, networks["built"]) == ([], 1)


def test_a_network_that_has_no_map_says_why_when_it_is_exported(
    networks: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    def build(request: Request) -> object:
        net = small(0, name=request.name)
        return TorchBackbone(
            net.module,
            net.spec,
            features=lambda m, x: m(x).mean((2, 3)),
            pool=lambda m, f: f,
            identity="small",
        )

    monkeypatch.setattr(torch_source, "build", build)
    said: list[str] = []
    use(said)
    assert "embedding only, no spatial map: its last features have the axes batch, channel." in said[1]


@pytest.mark.slow
def test_later_processes_need_no_torch_and_two_first_ones_do_not_disturb_each_other(
    empty_cache: Path,
) -> None:
    both = [answer(process) for process in [new_process(), new_process()]]
    assert all("First use" in one["said"][0] and "torch" in one["heavy"] for one in both)
    later = answer(new_process())
    assert (later["said"], later["heavy"]) == ([], [])
    net = load_backbone("test_resnet", engine="torch", device="cpu", pretrained=False, size=96)
    wanted = net.embed(np.random.default_rng(0).integers(0, 256, (2, 96, 96, 3), dtype=np.uint8))
    for one in (*both, later):
        np.testing.assert_allclose(one["vectors"], wanted, atol=1e-4)
    (bundle,) = (empty_cache / "bundles").iterdir()
    assert is_bundle(bundle)
    assert len(list((empty_cache / "names").iterdir())) == 1


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


DAMAGE = {
    "the name's entry is cut off": lambda folder: cut(next((folder / "names").iterdir())),
    "the name's entry is no object": lambda folder: next((folder / "names").iterdir()).write_text("[]"),
    "the network is cut off": lambda folder: cut(next(folder.glob("bundles/*/model.onnx"))),
    "the network is gone": lambda folder: next(folder.glob("bundles/*/model.onnx")).unlink(),
    "the spec is cut off": lambda folder: cut(next(folder.glob("bundles/*/spec.json"))),
    "the bundles are gone": lambda folder: shutil.rmtree(folder / "bundles"),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_a_broken_entry_is_not_used(exported: Path, what: str) -> None:
    assert keeper.find(REQUEST) is not None
    DAMAGE[what](exported)
    assert keeper.find(REQUEST) is None


def test_a_broken_entry_is_made_again(networks: dict, exported: Path) -> None:
    first = use()
    DAMAGE["the network is cut off"](exported)
    np.testing.assert_array_equal(use(), first)
    assert keeper.find(REQUEST) is not None
    assert networks["built"] == 1


def test_what_a_killed_export_leaves_is_not_taken_for_a_bundle(networks: dict, empty_cache: Path) -> None:
    """A kill leaves a folder of another name: the bundle is renamed when it is whole."""
    half = empty_cache / "bundles" / f".test_resnet-{small(0, name='test_resnet').spec.fingerprint}-x.tmp"
    half.mkdir(parents=True)
    (half / "model.onnx").write_bytes(b"half")
    assert keeper.find(REQUEST) is None
    assert not is_bundle(half)


def test_changed_weights_are_another_entry_and_the_old_one_stays(
    networks: dict, empty_cache: Path, tmp_path: Path
) -> None:
    file = tmp_path / "weights.safetensors"
    file.write_bytes(b"one")

    def with_file() -> np.ndarray:
        return load_backbone("test_resnet", device="cpu", weights=file, say=lambda _: None).embed(PIXELS)

    first = with_file()
    np.testing.assert_array_equal(with_file(), first)
    assert networks["built"] == 1
    file.write_bytes(b"other")
    networks["seed"] = 1
    assert np.abs(with_file() - first).max() > 0.01
    assert len(list((empty_cache / "bundles").iterdir())) == 2


def test_a_library_of_another_version_is_asked_again(networks: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    use()
    monkeypatch.setattr(keeper, "versions", lambda: {"timm": "99", "torchvision": None, "torch": None})
    assert keeper.find(REQUEST) is None
    monkeypatch.setattr(keeper, "versions", lambda: dict.fromkeys(("timm", "torchvision", "torch")))
    assert keeper.find(REQUEST) is not None, "a machine without torch has nothing to compare"


def test_requests_that_differ_have_different_entries(exported: Path) -> None:
    for other in (
        replace(REQUEST, rest="test_vit"),
        replace(REQUEST, pretrained=False),
        replace(REQUEST, size=64),
        replace(REQUEST, mean=(0.0, 0.0, 0.0)),
        replace(REQUEST, weights=Path("w.safetensors")),
    ):
        assert keeper.find(other) is None
    assert keeper.find(replace(REQUEST, threads=1)) == keeper.find(REQUEST) is not None


def test_an_export_that_does_not_agree_with_torch_is_an_error_and_leaves_nothing(
    networks: dict, empty_cache: Path
) -> None:
    networks["lies"] = 1
    with pytest.raises(BackboneError, match=r"does not agree with torch: cosine .*engine='torch'"):
        use()
    assert [file for file in empty_cache.rglob("*") if file.is_file()] == []
    assert list((empty_cache / "bundles").iterdir()) == []
