"""`onnx:FILE`: graphs of other people, understood or refused; NumPy computes what they should give."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import numpy as np
import pytest

from featurelens.backbone import load_backbone
from featurelens.backbone.onnx_files import parts
from featurelens.errors import BackboneError, InvalidInput
from fixtures.onnx_nets import conv_map, conv_net

pytest.importorskip("onnx")

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
PIXELS = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)


def load(file: Path, said: list[str] | None = None, **options):
    return load_backbone(f"onnx:{file}", threads=1, say=([] if said is None else said).append, **options)


def test_vectors_and_maps_are_those_of_numpy_and_the_assumption_is_said(tmp_path: Path) -> None:
    said: list[str] = []
    net = load(conv_net(tmp_path / "net.onnx"), said)
    wanted = conv_map(PIXELS, *IMAGENET)
    np.testing.assert_allclose(net.embed(PIXELS), wanted.mean((2, 3)), rtol=0, atol=1e-4)
    np.testing.assert_allclose(net.maps(PIXELS), wanted, rtol=0, atol=1e-4)
    assert (net.spec.dim, net.spec.map_channels) == (5, 5)
    assert "ImageNet's mean and std are assumed" in said[0]
    assert not np.allclose(net.embed(255 - PIXELS), wanted.mean((2, 3)), atol=1e-2)


def test_a_side_file_tells_the_preprocessing(tmp_path: Path) -> None:
    file = conv_net(tmp_path / "net.onnx")
    half = [0.5, 0.5, 0.5]
    side = {"mean": half, "std": half, "fit": {"crop_pct": 0.9}, "licence": "MIT"}
    (tmp_path / "net.onnx.json").write_text(json.dumps(side))
    said: list[str] = []
    net = load(file, said)
    np.testing.assert_allclose(
        net.embed(PIXELS), conv_map(PIXELS, half, half).mean((2, 3)), rtol=0, atol=1e-4
    )
    assert (said, net.spec.fit.crop_pct, net.spec.licence) == ([], 0.9, "MIT")
    other = load(file, mean=(0.0, 0.0, 0.0))
    assert other.spec.fingerprint != net.spec.fingerprint


def test_options_outrank_the_assumption(tmp_path: Path) -> None:
    half = (0.5, 0.5, 0.5)
    net = load(conv_net(tmp_path / "net.onnx"), mean=half, std=half)
    np.testing.assert_allclose(
        net.embed(PIXELS), conv_map(PIXELS, half, half).mean((2, 3)), rtol=0, atol=1e-4
    )


def test_a_graph_with_a_map_only_is_averaged(tmp_path: Path) -> None:
    said: list[str] = []
    net = load(conv_net(tmp_path / "net.onnx", outputs=["map"]), said)
    np.testing.assert_allclose(net.embed(PIXELS), conv_map(PIXELS, *IMAGENET).mean((2, 3)), rtol=0, atol=1e-4)
    assert any("mean of the map 'map' is the embedding" in text for text in said)


def test_the_order_of_outputs_does_not_matter(tmp_path: Path) -> None:
    net = load(conv_net(tmp_path / "net.onnx", outputs=["map", "embedding"]))
    np.testing.assert_allclose(net.embed(PIXELS), conv_map(PIXELS, *IMAGENET).mean((2, 3)), rtol=0, atol=1e-4)


def test_a_vector_only_has_no_map(tmp_path: Path) -> None:
    net = load(conv_net(tmp_path / "net.onnx", outputs=["embedding"]))
    with pytest.raises(BackboneError, match="embedding only, no spatial map"):
        net.maps(PIXELS)


def test_numbers_of_classes_are_no_embedding(tmp_path: Path) -> None:
    import onnx

    def with_classes(file: Path, *, alone: bool) -> Path:
        model = onnx.load(str(conv_net(file, outputs=["embedding"])))
        model.graph.node.append(onnx.helper.make_node("ArgMax", ["embedding"], ["class"], axis=1))
        told = onnx.helper.make_tensor_value_info("class", onnx.TensorProto.INT64, ["batch", 1])
        outputs = [told, *([] if alone else model.graph.output)]
        del model.graph.output[:]
        model.graph.output.extend(outputs)
        onnx.save(model, str(file))
        return file

    net = load(with_classes(tmp_path / "both.onnx", alone=False))
    np.testing.assert_allclose(net.embed(PIXELS), conv_map(PIXELS, *IMAGENET).mean((2, 3)), rtol=0, atol=1e-4)
    with pytest.raises(BackboneError, match="its outputs are class of unknown shape, or whole numbers"):
        load(with_classes(tmp_path / "alone.onnx", alone=True))


def test_free_rows_and_columns_take_a_size(tmp_path: Path) -> None:
    file = conv_net(tmp_path / "net.onnx", size="side")
    assert load(file).spec.fit.rows == 224
    net = load(file, size=32)
    np.testing.assert_allclose(net.maps(PIXELS), conv_map(PIXELS, *IMAGENET), rtol=0, atol=1e-4)


def test_the_hash_is_of_the_content_not_of_the_name(tmp_path: Path) -> None:
    one = load(conv_net(tmp_path / "a.onnx")).spec
    same = load(conv_net(tmp_path / "b.onnx")).spec
    other = load(conv_net(tmp_path / "c.onnx", scale=2.0)).spec
    assert one.fingerprint == same.fingerprint != other.fingerprint


def beside(file: Path, name: str, scale: float = 1.0) -> Path:
    """The network of `conv_net` with its weights in a second file of this name, as onnx itself writes it."""
    import onnx

    model = onnx.load(str(conv_net(file, scale=scale)))
    onnx.save(model, str(file), save_as_external_data=True, location=name, size_threshold=0)
    return file


@pytest.mark.parametrize("name", ["net.onnx_data", "net.onnx.data", "weights.bin"])
def test_weights_beside_the_graph_are_hashed_whatever_their_file_is_called(tmp_path: Path, name: str) -> None:
    one, other = (beside(tmp_path / end / "net.onnx", name, scale) for end, scale in (("a", 1.0), ("b", 2.0)))
    assert one.read_bytes() == other.read_bytes(), "the graphs alone do not tell them apart"
    assert load(one).spec.fingerprint != load(other).spec.fingerprint
    assert not np.allclose(load(one).embed(PIXELS), load(other).embed(PIXELS), atol=1e-2)


def test_galleries_keep_their_hash_where_all_was_hashed_before(tmp_path: Path) -> None:
    """SHA-256 of how the outputs are read, the file, and FILE.data: so it stands in galleries."""
    whole, apart = conv_net(tmp_path / "whole.onnx"), beside(tmp_path / "net.onnx", "net.onnx.data")
    for file, read in ((whole, [whole]), (apart, [apart, tmp_path / "net.onnx.data"])):
        content = b"0 1 as it is" + b"".join(one.read_bytes() for one in read)
        assert load(file).spec.weights == hashlib.sha256(content).hexdigest()


def test_weights_are_found_in_constants_and_branches_too(tmp_path: Path) -> None:
    from onnx import TensorProto, helper

    def outside(name: str) -> TensorProto:
        tensor = helper.make_tensor(name, TensorProto.FLOAT, [1], [1.0])
        tensor.ClearField("float_data")
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value=name)
        tensor.external_data.add(key="length", value="4")
        (tmp_path / name).write_bytes(b"1234")
        return tensor

    inner = helper.make_graph([helper.make_node("Constant", [], ["x"], value=outside("c"))], "inner", [], [])
    branch = helper.make_node("If", ["yes"], ["y"], then_branch=inner, else_branch=inner)
    model = helper.make_model(helper.make_graph([branch], "net", [], [], [outside("b"), outside("a")]))
    file = tmp_path / "net.onnx"
    file.write_bytes(model.SerializeToString())
    assert [one.name for one in parts(file, ".data")] == ["net.onnx", "a", "b", "c"]
    file.write_bytes(file.read_bytes()[:-9])
    assert parts(file, ".data")[0] == file, "a cut file is the engine's to refuse"


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "There is no file"), (b"", "cannot be read as an ONNX"), (b"not onnx" * 99, "cannot be read as")],
)
def test_files_that_are_no_network(tmp_path: Path, content: bytes | None, said: str) -> None:
    file = tmp_path / "net.onnx"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(BackboneError, match=f"{said}.*|{re.escape(str(file))}.*{said}"):
        load(file)


def test_a_cut_off_file_is_an_error(tmp_path: Path) -> None:
    file = conv_net(tmp_path / "net.onnx")
    file.write_bytes(file.read_bytes()[:-200])
    with pytest.raises(BackboneError, match="cut off, damaged"):
        load(file)


@pytest.mark.parametrize(
    ("shape", "said"),
    [([1, 4, 32, 32], "expected 3 colour channels"), ([1, 3, 32], "does not take images: its inputs are")],
)
def test_graphs_that_take_no_images(tmp_path: Path, shape: list[int], said: str) -> None:
    from onnx import TensorProto, helper, save

    values = [helper.make_tensor_value_info(n, TensorProto.FLOAT, shape) for n in ("pixels", "same")]
    graph = helper.make_graph([helper.make_node("Relu", ["pixels"], ["same"])], "net", values[:1], values[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    save(model, str(tmp_path / "net.onnx"))
    with pytest.raises(BackboneError, match=said):
        load(tmp_path / "net.onnx")


def test_options_that_it_cannot_take_are_refused(tmp_path: Path) -> None:
    file = conv_net(tmp_path / "net.onnx")
    with pytest.raises(BackboneError, match="32 × 32 only; leave size=64 out"):
        load(file, size=64)
    with pytest.raises(InvalidInput, match="does not take weights="):
        load(file, weights="w.safetensors")
    with pytest.raises(BackboneError, match="engine='torch' needs the network it was made from"):
        load(file, engine="torch")


def test_a_side_file_that_is_wrong_says_what_it_should_be(tmp_path: Path) -> None:
    file = conv_net(tmp_path / "net.onnx")
    side = tmp_path / "net.onnx.json"
    for text in ("no json", '{"mean": [1, 2]}', '{"fit": {"colour": 3}}', "[1]"):
        side.write_text(text)
        with pytest.raises(BackboneError, match=r"net\.onnx"):
            load(file)


@pytest.mark.parametrize(
    ("pixels", "said"),
    [
        (PIXELS.astype(np.float32), "float32"),
        (PIXELS[0], r"pixels\[None\]"),
        (PIXELS.transpose(0, 3, 1, 2), "Channels come last"),
        (PIXELS[:, :16], r"\[3, 16, 32, 3\]"),
        ([1, 2], "list"),
    ],
)
def test_wrong_pixels_are_named(tmp_path: Path, pixels: object, said: str) -> None:
    import featurelens.backbone.pixels as door
    from featurelens.images.fit import Fit

    with pytest.raises(InvalidInput, match=said):
        door.check_pixels(pixels, Fit(32, 32))
