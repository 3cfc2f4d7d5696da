"""What pretraining starts from and what it ends as: a Backbone again, whatever the network."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from featurelens.adapt import pretrained
from featurelens.adapt.contrastive import pretrain
from featurelens.adapt.embedded import as_backbone
from featurelens.adapt.learner import Learner
from featurelens.adapt.recipe import FOLDER, Recipe, make_recipe, read_recipe
from featurelens.adapt.recover import recovered
from featurelens.adapt.sources import from_folder
from featurelens.adapt.start import start_from
from featurelens.backbone import load_backbone
from featurelens.errors import BackboneError, InvalidInput, UnknownName
from featurelens.images.procedural import render

SHORT = Recipe(
    phases=((2, 32, 8),), projector=(16, 8), precision="fp32", pool_size=40, lr=1e-4, warmup=1, ema=0.5,
)  # fmt: skip


def silent(text: str) -> None:
    """Nothing is said in tests."""


def cosines(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from fixtures.scenes import saved, scene

    folder = tmp_path_factory.mktemp("photos")
    for kind in ("a", "b"):
        (folder / kind).mkdir()
        for n in range(14):
            (folder / kind / f"{n}.jpg").write_bytes(saved(scene(n + 50 * (kind == "b"), 48, 64), "JPEG"))
    return folder


@pytest.mark.slow
def test_the_embedded_backbone_comes_back_out_of_its_file_and_can_be_trained() -> None:
    shipped = load_backbone("embedded", threads=1)
    pixels = render(programmes=8, views=1, size=shipped.spec.fit.rows, seed=3)
    descriptor = recovered()
    assert cosines(as_backbone(descriptor).embed(pixels), shipped.embed(pixels)).min() >= 0.9999
    learner = Learner(start_from("embedded", SHORT).recipe)
    begun = learner.encoder.layer4[0].conv1.weight.clone()
    start_from("embedded", SHORT).prepare(learner)
    own, shipped_trunk = learner.encoder.state_dict(), descriptor.trunk.state_dict()
    assert all(torch.equal(own[name], value) for name, value in shipped_trunk.items())
    assert torch.equal(learner.encoder.layer4[0].conv1.weight, begun), "the last stage is not in the file"
    drawn = torch.tensor(pixels).permute(0, 3, 1, 2) / 255
    views = torch.nn.functional.avg_pool2d((drawn - descriptor.mean) / descriptor.std, 2)
    with torch.no_grad():
        still, trained = (net(views)[-1] for net in (descriptor.trunk.eval(), recovered().trunk.train()))
        for norm in (m for m in descriptor.trunk.modules() if isinstance(m, torch.nn.BatchNorm2d)):
            norm.reset_running_stats()
        reset = descriptor.trunk(views)[-1]
    gap, lost = ((found - still).abs().mean() for found in (trained, reset))
    assert gap < 0.3 * lost, (
        "the batch norms have their statistics: a training pass is about the same network"
    )


def test_a_file_that_is_not_the_embedded_network_is_named(tmp_path: Path) -> None:
    import onnx

    graph = onnx.helper.make_graph([], "empty", [], [])
    onnx.save(onnx.helper.make_model(graph), str(tmp_path / "other.onnx"))
    with pytest.raises(BackboneError, match=r"other\.onnx"):
        recovered(tmp_path / "other.onnx")


@pytest.mark.parametrize("name", ["test_resnet", pytest.param("test_vit", marks=pytest.mark.slow)])
def test_any_timm_network_goes_on_and_is_a_backbone_again(name: str, photos: Path, tmp_path: Path) -> None:
    import timm
    from timm.models import save_for_hf

    torch.manual_seed(3)
    save_for_hf(timm.create_model(name, num_classes=7), str(tmp_path / "net"), safe_serialization=True)
    network = f"local-dir:{tmp_path / 'net'}"
    start = start_from(network, SHORT, say=silent)
    begun = Learner(start.recipe)
    start.prepare(begun)
    original = load_backbone(network, engine="torch", device="cpu")
    for parameter, value in begun.encoder.state_dict().items():
        assert torch.equal(value, original.module.state_dict()[parameter]), (
            "it starts from the trained weights"
        )
    given = from_folder(photos, start.recipe, say=silent)
    pretrain(start.recipe, given.pairs, given.held, tmp_path / "run", say=silent, prepare=start.prepare)
    made = pretrained.write(tmp_path / "run" / "checkpoint.pt", tmp_path / "bundle")
    assert made.spec.mean == original.spec.mean
    size = made.spec.fit.rows
    assert size == original.spec.fit.rows
    pixels = np.random.default_rng(0).integers(0, 256, (2, size, size, 3), dtype=np.uint8)
    on_cpu = load_backbone(f"bundle:{tmp_path / 'bundle'}", threads=1)
    on_torch = load_backbone(f"bundle:{tmp_path / 'bundle'}", engine="torch", device="cpu")
    assert on_cpu.spec.fingerprint == on_torch.spec.fingerprint
    for found in (on_cpu, on_torch):
        assert cosines(found.embed(pixels), made.embed(pixels)).min() >= 0.9999
    moved = np.abs(made.embed(pixels) - original.embed(pixels)).max()
    assert moved > 1e-6, "and training has changed it"


def test_a_run_from_another_start_is_refused_by_its_name(photos: Path, tmp_path: Path) -> None:
    recipe = replace(SHORT, options={"channels": [8, 8, 16, 16]})
    given = from_folder(photos, recipe, say=silent)

    def train(start: str | None, out: Path) -> None:
        begin = start_from(start, recipe, say=silent)
        pretrain(
            begin.recipe, given.pairs, given.held, out, say=silent, prepare=begin.prepare, origin=begin.name
        )

    train(None, tmp_path / "a")
    first = str(tmp_path / "a" / "checkpoint.pt")
    with pytest.raises(InvalidInput, match=r"start = 'none'; now it is 'checkpoint\.pt [0-9a-f]{12}'.*--out"):
        train(first, tmp_path / "a")
    train(first, tmp_path / "b")
    train(first, tmp_path / "b")  # the same again goes on
    with pytest.raises(InvalidInput, match=r"start = 'checkpoint\.pt [0-9a-f]{12}'; now it is 'none'"):
        train(None, tmp_path / "b")
    with pytest.raises(InvalidInput, match="start = 'checkpoint"):  # another file of that name
        train(str(tmp_path / "b" / "checkpoint.pt"), tmp_path / "b")


def test_labels_are_looked_at_and_never_learned(photos: Path, tmp_path: Path) -> None:
    recipe = replace(SHORT, options={"channels": [8, 8, 16, 16]})
    given = from_folder(photos, recipe, say=silent)
    assert given.labelled is not None
    assert given.labelled.labels.tolist() == [0] * 14 + [1] * 14
    said: list[str] = []
    watched = pretrain(
        recipe, given.pairs, given.held, tmp_path / "a", say=said.append, labelled=given.labelled
    )
    assert "knn" in said[-1]
    blind = pretrain(recipe, given.pairs, given.held, tmp_path / "b", say=silent)
    for x, y in zip(watched.state_dict().values(), blind.state_dict().values(), strict=True):
        assert torch.equal(x, y)


def test_an_architecture_that_does_not_take_the_sizes_is_told() -> None:
    with pytest.raises(InvalidInput, match="32 px"):
        Learner(replace(SHORT, architecture="test_vit", options={"dynamic_img_size": False}))
    with pytest.raises(InvalidInput, match="featurelens models"):
        Learner(replace(SHORT, architecture="resnet19"))
    with pytest.raises(UnknownName, match="resnet18"):
        start_from("resnet_18", SHORT, say=silent)
    with pytest.raises(BackboneError, match="no network"):
        start_from("classic:hog", SHORT, say=silent)
    with pytest.raises(BackboneError, match=r"gone\.pt"):
        start_from("gone.pt", SHORT).prepare(Learner(replace(SHORT, options={"channels": [8, 8, 16, 16]})))


def test_a_recipe_is_cut_to_fewer_steps_in_the_same_proportions() -> None:
    recipe = read_recipe(FOLDER)
    assert make_recipe(recipe.to_json()) == recipe
    assert [p[0] for p in recipe.cut_to(26).phases] == [20, 6]
    assert recipe.cut_to(1).steps == 1
    assert recipe.cut_to(1000).steps == 1000
