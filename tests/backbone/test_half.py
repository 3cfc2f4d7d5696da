"""Graphs in half precision that no single protobuf file holds: their weights lie beside them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from featurelens.backbone import half, onnx_write  # noqa: E402
from featurelens.backbone.bundle import read_bundle, write_bundle  # noqa: E402
from featurelens.backbone.openvino_backbone import OpenVINOBackbone  # noqa: E402
from featurelens.backbone.protocol import Spec  # noqa: E402
from featurelens.errors import BackboneError  # noqa: E402
from featurelens.export import export  # noqa: E402
from featurelens.images.fit import Fit  # noqa: E402

SPEC = Spec("linear", weights="w", dim=5, fit=Fit(8, 8))
PIXELS = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), dtype=np.uint8)
ROWS = 3 * 8 * 8


def linear_net(file: Path, beside: str) -> None:
    """One product with a matrix of 192 × 5, which lies in the file `beside` it."""
    values = np.random.default_rng(1).normal(size=(ROWS, 5)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("Flatten", ["x"], ["f"]), helper.make_node("MatMul", ["f", "w"], ["embedding"])],
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3, 8, 8])],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["batch", 5])],
        [numpy_helper.from_array(values, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    (file.parent / beside).parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, str(file), save_as_external_data=True, location=beside, size_threshold=0)


def embedded(file: Path) -> np.ndarray:
    return OpenVINOBackbone(file, SPEC, outputs=(0, None)).embed(PIXELS)


@pytest.mark.parametrize("beside", ["model.onnx.data", "weights.bin"])
@pytest.mark.parametrize("fits", [True, False])
def test_weights_lie_beside_the_graph_where_one_file_cannot_hold_them(
    beside: str, fits: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "model.onnx"
    linear_net(file, beside)
    wanted = embedded(file)
    monkeypatch.setattr(onnx_write, "_MOST_INSIDE", ROWS * 5 * 2 - (not fits))
    half.halve_weights(file)
    data = tmp_path / "model.onnx.data"
    assert sorted(tmp_path.iterdir()) == ([file] if fits else [file, data])
    assert fits or data.stat().st_size == ROWS * 5 * 2, "and nothing of what lay there before"
    np.testing.assert_allclose(embedded(file), wanted, rtol=5e-3, atol=5e-3)


@pytest.mark.parametrize("fp16", [False, True])
@pytest.mark.parametrize("beside", ["model.onnx.data", "weights.bin", "parts/w"])
def test_a_bundle_made_from_a_bundle_holds_its_side_files(
    beside: str, fp16: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx_write, "_MOST_INSIDE", 1000)
    write_bundle(tmp_path / "whole", SPEC, lambda file: linear_net(file, beside))
    export(f"bundle:{tmp_path / 'whole'}", tmp_path / "made", fp16=fp16, say=lambda text: None)
    side = "model.onnx.data" if fp16 else beside
    assert (tmp_path / "made" / side).is_file()
    wanted = embedded(tmp_path / "whole" / "model.onnx")
    np.testing.assert_allclose(embedded(tmp_path / "made" / "model.onnx"), wanted, rtol=5e-3, atol=5e-3)
    (tmp_path / "made" / side).write_bytes(b"")
    with pytest.raises(BackboneError, match=f"not whole: {side} has 0 bytes"):
        read_bundle(tmp_path / "made")
