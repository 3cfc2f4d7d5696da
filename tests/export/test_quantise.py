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
