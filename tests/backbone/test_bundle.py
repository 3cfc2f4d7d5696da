"""Bundles: written whole or not at all, read with every fault named."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from featurelens.backbone import load_backbone
from featurelens.backbone.bundle import open_bundle, read_bundle, read_spec, write_bundle
from featurelens.backbone.protocol import Spec
from featurelens.errors import BackboneError, InvalidInput
from featurelens.images.fit import Fit
from fixtures.onnx_nets import conv_map, conv_net

pytest.importorskip("onnx")

SPEC = Spec(
    "conv",
    weights="seeded",
    dim=5,
    fit=Fit(32, 32, "squash", 1.0, "bicubic"),
    mean=(0.1, 0.2, 0.3),
    std=(0.4, 0.5, 0.6),
    map_channels=5,
    licence="MIT",
)
PIXELS = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    write_bundle(tmp_path / "net", SPEC, conv_net, made={"cosine": 1.0})
    return tmp_path / "net"


def test_what_is_written_is_read_again(bundle: Path) -> None:
    assert read_spec(bundle) == SPEC
    assert read_bundle(bundle).made == {"cosine": 1.0}
    net = load_backbone(f"bundle:{bundle}", threads=1)
    assert net.spec == replace(SPEC, name=f"bundle:{bundle}")
    assert net.spec.fingerprint == SPEC.fingerprint
    wanted = conv_map(PIXELS, SPEC.mean, SPEC.std)
    np.testing.assert_allclose(net.embed(PIXELS), wanted.mean((2, 3)), rtol=0, atol=1e-4)
    np.testing.assert_allclose(net.maps(PIXELS), wanted, rtol=0, atol=1e-4)
    assert sorted(f.name for f in bundle.parent.iterdir()) == ["net"], "no temporary folder is left"


def test_a_write_that_fails_leaves_the_old_bundle(bundle: Path) -> None:
    def fail(file: Path) -> None:
        file.write_bytes(b"half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_bundle(bundle, SPEC, fail)
    assert open_bundle(bundle, threads=1).embed(PIXELS).shape == (2, 5)
    assert sorted(f.name for f in bundle.parent.iterdir()) == ["net"]


def test_a_bundle_is_replaced_as_a_whole(bundle: Path) -> None:
    write_bundle(bundle, replace(SPEC, licence="other"), lambda file: conv_net(file, scale=2.0))
    assert read_spec(bundle).licence == "other"
    wanted = 2 * conv_map(PIXELS, SPEC.mean, SPEC.std).mean((2, 3))
    np.testing.assert_allclose(open_bundle(bundle, threads=1).embed(PIXELS), wanted, rtol=0, atol=2e-4)


def test_a_whole_bundle_that_another_process_may_be_reading_is_left_in_place_when_asked(bundle: Path) -> None:
    """Two first uses at once: the second to end must not take the files away under the first one's reader."""
    before = (bundle / "model.onnx").stat().st_ino
    write_bundle(bundle, SPEC, conv_net, replace_whole=False)
    assert (bundle / "model.onnx").stat().st_ino == before
    (bundle / "model.onnx").write_bytes(b"cut")
    write_bundle(bundle, SPEC, conv_net, replace_whole=False)
    assert open_bundle(bundle, threads=1).embed(PIXELS).shape == (2, 5)
    assert sorted(f.name for f in bundle.parent.iterdir()) == ["net"]


def edit(bundle: Path, **changes: object) -> None:
    text = json.loads((bundle / "spec.json").read_text())
    (bundle / "spec.json").write_text(json.dumps(text | changes))


def respec(bundle: Path, **changes: object) -> None:
    edit(bundle, spec=json.loads((bundle / "spec.json").read_text())["spec"] | changes)


FAULTS = {
    "no folder": (lambda b: b.rename(b.with_name("moved")), "there is no such folder"),
    "no network": (lambda b: (b / "model.onnx").unlink(), "it holds no model.onnx"),
    "no spec": (lambda b: (b / "spec.json").unlink(), "it holds no spec.json"),
    "cut network": (lambda b: (b / "model.onnx").write_bytes(b"x"), r"model.onnx has 1 bytes instead of"),
    "no json": (lambda b: (b / "spec.json").write_text("{"), "spec.json is damaged"),
    "a list": (lambda b: (b / "spec.json").write_text("[]"), "spec.json is damaged"),
    "other version": (
        lambda b: edit(b, format="featurelens-bundle/2"),
        r"format 'featurelens-bundle/2'; this version of featurelens reads 'featurelens-bundle/1'",
    ),
    "no dim": (lambda b: edit(b, spec={"name": "x"}), "spec.json is damaged"),
    "one mean": (lambda b: respec(b, mean=[0.5]), "spec.json is damaged.*mean"),
    "no spread": (lambda b: respec(b, std=[0, 0, 0]), "those of std above 0"),
    "weights gone": (lambda b: edit(b, files={"model.safetensors": 9}), "model.safetensors is missing"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_is_named(bundle: Path, fault: str) -> None:
    damage, said = FAULTS[fault]
    damage(bundle)
    with pytest.raises(BackboneError, match=said) as error:
        load_backbone(f"bundle:{bundle}")
    assert str(bundle) in str(error.value)


def test_a_network_that_gives_another_length_than_the_spec_says_is_named(bundle: Path) -> None:
    respec(bundle, dim=7)
    with pytest.raises(BackboneError, match=r"gives 5 numbers for an image, where .* promises 7"):
        open_bundle(bundle, threads=1).embed(PIXELS)


def test_the_right_length_but_other_bytes_are_an_error(bundle: Path) -> None:
    size = (bundle / "model.onnx").stat().st_size
    (bundle / "model.onnx").write_bytes(b"\xff" * size)
    with pytest.raises(BackboneError, match="cannot be read as an ONNX network"):
        load_backbone(f"bundle:{bundle}")


def test_options_that_a_finished_graph_cannot_take_are_refused(bundle: Path) -> None:
    with pytest.raises(InvalidInput, match="A bundle does not take size=64"):
        load_backbone(f"bundle:{bundle}", size=64)
    with pytest.raises(BackboneError, match=r"without the model\.safetensors"):
        load_backbone(f"bundle:{bundle}", engine="torch")


@pytest.mark.slow
def test_a_bundle_with_weights_is_a_torch_network_again(tmp_path: Path) -> None:
    pytest.importorskip("timm")
    pytest.importorskip("onnxscript")
    from featurelens.backbone.to_onnx import export_bundle

    net = load_backbone("test_resnet", engine="torch", device="cpu", pretrained=False, size=64)
    export_bundle(net, tmp_path / "net", weights=True)
    again = load_backbone(f"bundle:{tmp_path / 'net'}", engine="torch", device="cpu")
    pixels = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    np.testing.assert_allclose(again.embed(pixels), net.embed(pixels), atol=1e-5)
    assert again.spec == replace(net.spec, name=f"bundle:{tmp_path / 'net'}")
    assert b"site-packages" not in (tmp_path / "net" / "model.onnx").read_bytes(), "no paths of this machine"
    graph = load_backbone(f"bundle:{tmp_path / 'net'}")
    np.testing.assert_allclose(graph.embed(pixels), net.embed(pixels), atol=1e-4)
