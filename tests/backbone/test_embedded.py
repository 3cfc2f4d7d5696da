"""The shipped backbone: what must hold for any file that lies in the package."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from featurelens.backbone import load_backbone
from featurelens.backbone.embedded import FOLDER


@pytest.fixture(scope="module")
def backbone():
    return load_backbone("embedded")


def test_it_is_small_and_has_a_model_card() -> None:
    assert sum(f.stat().st_size for f in FOLDER.iterdir()) <= 16_000_000
    assert "procedural" in (FOLDER / "MODEL_CARD.md").read_text(encoding="utf-8")


def test_the_card_names_this_file_and_this_recipe() -> None:
    """Whoever changes the weights or the recipe must say so in the card."""
    card = (FOLDER / "MODEL_CARD.md").read_text(encoding="utf-8")
    recipe = FOLDER.parents[1] / "adapt" / "recipes" / "embedded.toml"
    for file in (FOLDER / "model.onnx", recipe):
        assert hashlib.sha256(file.read_bytes()).hexdigest() in card, (
            f"{file.name} is another than the card's"
        )


def test_the_file_tells_no_paths_of_the_machine_that_made_it() -> None:
    data = (FOLDER / "model.onnx").read_bytes()
    assert not [word for word in (b".py", b"site-packages", b"/src/") if word in data]


def test_the_graph_takes_any_number_of_images() -> None:
    onnx = pytest.importorskip("onnx")
    graph = onnx.load(str(FOLDER / "model.onnx")).graph
    for end in (*graph.input, *graph.output):
        assert end.type.tensor_type.shape.dim[0].dim_param, f"{end.name} has a fixed batch size"


@pytest.mark.parametrize("level", [0, 1, 127, 255])
def test_flat_pictures_have_finite_vectors_too(backbone, level: int) -> None:
    """A scan of an empty page is an image like any other; fp16 constants must not round to zero."""
    fit = backbone.spec.fit
    pixels = np.full((2, fit.rows, fit.cols, 3), level, np.uint8)
    vectors = backbone.embed(pixels)
    assert np.isfinite(vectors).all()
    assert (np.linalg.norm(vectors, axis=1) > 0).all()


def test_the_probed_dimensions_are_those_of_the_spec(backbone) -> None:
    fit = backbone.spec.fit
    pixels = np.random.default_rng(0).integers(0, 256, (3, fit.rows, fit.cols, 3), dtype=np.uint8)
    assert backbone.embed(pixels).shape == (3, backbone.spec.dim)
    assert backbone.maps(pixels).shape[:2] == (3, backbone.spec.map_channels)


def test_one_image_or_many_give_the_same_vector(backbone) -> None:
    fit = backbone.spec.fit
    pixels = np.random.default_rng(1).integers(0, 256, (64, fit.rows, fit.cols, 3), dtype=np.uint8)
    many = backbone.embed(pixels)
    for i in (0, 17, 63):
        one = backbone.embed(pixels[i : i + 1])[0]
        assert one @ many[i] / np.linalg.norm(one) / np.linalg.norm(many[i]) >= 0.9999
