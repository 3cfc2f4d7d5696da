"""int8 is tried with more and more layers left in float32, and kept only where the gate lets it through."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from featurelens.backbone import load_backbone
from featurelens.backbone.bundle import open_bundle, write_bundle
from featurelens.backbone.half import halve_weights, widen_weights
from featurelens.backbone.openvino_backbone import OpenVINOBackbone
from featurelens.backbone.protocol import Spec
from featurelens.errors import BackboneError, SpecMismatch
from featurelens.export import export
from featurelens.export.bundles import write_small_bundle
from featurelens.export.quantise import quantise
from featurelens.images.fit import Fit
from featurelens.search import Gallery
from fixtures.drawn import draw_many
from fixtures.onnx_nets import conv_net

if importlib.util.find_spec("nncf") is None:  # importing it here would bring its telemetry
    pytest.skip("needs nncf", allow_module_level=True)
SPEC = Spec("conv", weights="seeded", dim=5, fit=Fit(32, 32), map_channels=5)
PIXELS = np.random.default_rng(0).integers(0, 256, (24, 32, 32, 3), dtype=np.uint8)


WIDE = Spec("wide", weights="seeded", dim=8, fit=Fit(32, 32))


def wide_net(file: Path) -> Path:
    """A convolution (kernel and stride 8) of 32 channels and a product with 512 × 8 numbers, the weights in a second file."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    random = np.random.default_rng(0)
    shapes = {"kernel": (32, 3, 8, 8), "matrix": (512, 8)}
    nodes = [
        helper.make_node("Conv", ["pixels", "kernel"], ["map"], strides=[8, 8]),
        helper.make_node("Relu", ["map"], ["positive"]),
        helper.make_node("Flatten", ["positive"], ["flat"]),
        helper.make_node("MatMul", ["flat", "matrix"], ["embedding"]),
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["batch", 3, 32, 32])],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["batch", 8])],
        [numpy_helper.from_array(random.normal(size=s).astype(np.float32), n) for n, s in shapes.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    file.parent.mkdir()
    onnx.save(model, str(file), save_as_external_data=True, location="weights.bin")
    return file


@pytest.fixture
def bundle(tmp_path: Path) -> OpenVINOBackbone:
    write_bundle(tmp_path / "net", SPEC, conv_net)
    return open_bundle(tmp_path / "net")


def test_a_quantised_network_computes_nearly_the_same_in_int8(
    bundle: OpenVINOBackbone, tmp_path: Path
) -> None:
    import onnx

    target = tmp_path / "small.onnx"
    assert quantise(bundle.file, target, SPEC, PIXELS, overlap=lambda file: 1.0, say=print) == (1.0, 0)
    kinds = {node.op_type for node in onnx.load(str(target)).graph.node}
    assert "QuantizeLinear" in kinds
    a, b = bundle.embed(PIXELS), OpenVINOBackbone(target, SPEC, outputs=(0, 1)).embed(PIXELS)
    assert 0 < np.abs(a - b).max() < 0.1 * np.abs(a).max()
    assert "openvino_telemetry" not in sys.modules, "NNCF brought its telemetry"


def test_layers_are_given_back_to_float32_until_the_gate_is_passed(
    bundle: OpenVINOBackbone, tmp_path: Path
) -> None:
    scores = iter((0.9, 0.8))
    said: list[str] = []
    found, left = quantise(
        bundle.file, tmp_path / "small.onnx", SPEC, PIXELS, overlap=lambda file: next(scores), say=said.append
    )
    assert (found, left) == (0.9, 0), "the best try is kept, not the last"
    assert [text.split(":")[0] for text in said] == [f"int8, {n} of 1 layers in float32" for n in (0, 1)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net", "small.onnx"]


@pytest.mark.parametrize("widened", [False, True])
def test_weights_that_no_protobuf_file_holds_lie_beside_the_graph(
    widened: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit of 2 GB stands at 2 KB here, ours and NNCF's; every weight of the network has more."""
    import onnx
    from nncf.onnx.quantization import quantize_model

    def limited(model: Any) -> None:
        assert model.ByteSize() < 2000, "NNCF would refuse it"

    monkeypatch.setattr("featurelens.backbone.onnx_write._MOST_INSIDE", 2000)
    monkeypatch.setattr(quantize_model, "check_model_protobuf_size", limited)
    source, target = wide_net(tmp_path / "net" / "model.onnx"), tmp_path / "small" / "model.onnx"
    wanted = OpenVINOBackbone(source, WIDE, outputs=(0, None)).embed(PIXELS)
    if widened:
        halve_weights(source)
    target.parent.mkdir()
    scores = iter((0.5, 0.9, 0.8))
    found = quantise(source, target, WIDE, PIXELS, overlap=lambda file: next(scores, 0.0), say=print)
    assert found == (0.9, 1), "the second try was the best"
    assert sorted(one.name for one in target.parent.iterdir()) == ["model.onnx", "model.onnx.data"]
    assert target.stat().st_size < 2000
    onnx.checker.check_model(str(target))
    got = OpenVINOBackbone(target, WIDE, outputs=(0, None)).embed(PIXELS)
    assert np.abs(got - wanted).max() < 0.05 * np.abs(wanted).max()


def test_what_moves_too_many_neighbours_is_refused_with_the_figure(
    bundle: OpenVINOBackbone, tmp_path: Path
) -> None:
    """The sabotage: what is asked for is something else than the network gives."""
    other = np.random.default_rng(1).normal(size=(24, 5)).astype(np.float32)
    with pytest.raises(BackboneError, match=r"0\.\d+ of the 5 nearest stay the same, 0\.95 are asked for"):
        write_small_bundle(bundle, tmp_path / "small", False, PIXELS, PIXELS, other, say=print)
    assert [path.name for path in tmp_path.iterdir()] == ["net"]


def test_half_weights_are_widened_again(bundle: OpenVINOBackbone, tmp_path: Path) -> None:
    import onnx

    half = tmp_path / "half.onnx"
    half.write_bytes(bundle.file.read_bytes())
    halve_weights(half)
    model = onnx.load(str(half))
    widen_weights(model)
    onnx.checker.check_model(model)
    onnx.save(model, str(tmp_path / "wide.onnx"))
    assert not any(node.op_type == "Cast" for node in model.graph.node)
    a, b = (OpenVINOBackbone(f, SPEC, outputs=(0, 1)).embed(PIXELS) for f in (half, tmp_path / "wide.onnx"))
    np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_from_images_to_a_gallery_in_int8(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One half of the images calibrates, the other judges; the gallery then knows in what it was computed."""
    halves: list[np.ndarray] = []

    def noted(
        source: Any, out: Path, fp16: bool, calibrate: Any, judged: Any, wanted: Any, **say: Any
    ) -> Any:
        halves.extend((calibrate, judged))
        return write_small_bundle(source, out, fp16, calibrate, judged, wanted, **say)

    pytest.importorskip("timm")
    monkeypatch.setenv("FEATURELENS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("featurelens.export.run.write_small_bundle", noted)
    photos = shared / "data" / "flowers5"
    how: dict[str, Any] = {"int8": True, "images": photos, "limit": 200, "pretrained": False, "say": print}
    made = export("test_resnet", tmp_path / "small", **how)
    assert made.precision.startswith("int8")
    assert made.parity.neighbours is not None
    assert made.parity.neighbours >= 0.95
    seen = [{one.tobytes() for one in half} for half in halves]
    assert [len(half) for half in seen] == [100, 100]
    assert not seen[0] & seen[1], "what calibrates does not judge"
    draw_many(tmp_path / "photos", 6)
    with Gallery.create(tmp_path / "photos", backbone=f"bundle:{made.folder}") as gallery:
        gallery.update()
    with Gallery.open(tmp_path / "photos") as again:
        assert again.spec.precision == again.backbone.spec.precision == made.precision
        assert again.search(tmp_path / "photos" / "004.png", k=1)[0].name == "004.png"
        with pytest.raises(SpecMismatch):
            again.settings.check(load_backbone("test_resnet", pretrained=False).spec)
