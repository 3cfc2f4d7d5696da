"""Domain adaptation from two folders to a backbone: what is gained, what is kept, what goes wrong."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from featurelens.adapt.domain import METHODS, Adapting, adapt_domain
from featurelens.adapt.domain.candidates import torch_of
from featurelens.adapt.mishaps import TrainingDiverged
from featurelens.backbone import load_backbone
from featurelens.backbone.torch_backbone import TorchBackbone
from featurelens.errors import BackboneError, InvalidInput, UnknownName
from fixtures.learning import COLOURS

QUICK = Adapting(epochs=3, head_epochs=10, batch_size=8)


@pytest.fixture(scope="module")
def dim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The three classes again, other images, in half the light and with a reddish cast."""
    folder = tmp_path_factory.mktemp("dim")
    for kind, colour in COLOURS.items():
        (folder / kind).mkdir()
        for i in range(12):
            random = np.random.default_rng([100 + i, *kind.encode()])
            shade = random.normal(colour, 25, 3) * (0.7, 0.45, 0.45) + (10, 0, 0)
            pixels = np.clip(random.normal(shade, 15, (40, 40, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / kind / f"{i:02d}.png")
    return folder


SLOW = ("source", "deep-coral", "mmd", "pseudo")


@pytest.mark.parametrize("method", [pytest.param(m, marks=[pytest.mark.slow] * (m in SLOW)) for m in METHODS])
def test_every_method_gives_a_backbone_and_leaves_the_given_one(
    method: str, small: TorchBackbone, photos: Path, dim: Path
) -> None:
    before = {k: v.clone() for k, v in small.module.state_dict().items()}
    found = adapt_domain(photos, dim, small, replace(QUICK, methods=method))
    assert all(torch.equal(v, before[k]) for k, v in small.module.state_dict().items())
    assert found.method == method
    assert [one.method for one in found.tried] == [
        "none",
        *[method] * (1 if method in ("coral", "adabn") else 3),
    ]
    assert found.before is not None
    assert found.after is not None
    assert found.before.n == found.after.n == 36
    files = sorted(p for p in dim.rglob("*.png"))
    pixels = np.stack([_fitted(p, found.backbone) for p in files])
    net = found.backbone
    with torch.inference_mode():
        logits = net.logits(net.normalize(net.prepare(pixels))).numpy()
    assert np.allclose(logits, found.logits, atol=2e-3 * np.abs(found.logits).max()), (
        "the network says what was counted"
    )
    vectors = net.embed(pixels)
    wanted = found.chosen.target
    cosine = (vectors * wanted).sum(1) / np.linalg.norm(vectors, axis=1) / np.linalg.norm(wanted, axis=1)
    assert cosine.min() > 0.9999
    assert net.module.class_names == ["leaf", "sand", "sky"]


def test_a_known_shift_is_undone(photos: Path) -> None:
    """Target rows that are the source's, turned and moved: CORAL finds the way back, no label of theirs needed."""
    from featurelens.adapt.domain.recolour import recolouring

    random = np.random.default_rng(0)
    centres = random.normal(size=(4, 6)) * 3
    codes = np.arange(400) % 4
    source = centres[codes] + random.normal(size=(400, 6))
    turn = np.diag([3.0, 0.3, 2.0, 0.5, 1.0, 1.5])
    target = (centres[codes] + random.normal(size=(400, 6))) @ turn + 7
    means = np.stack([source[codes == k].mean(0) for k in range(4)])

    def accuracy(rows: np.ndarray) -> float:
        return float((((rows[:, None] - means) ** 2).sum(2).argmin(1) == codes).mean())

    assert accuracy(target) < 0.6
    assert accuracy(recolouring(target, source, shrink=0.0)(target)) > 0.9
    assert accuracy(recolouring(source, target, shrink=0.0)(target)) < 0.85, "a sabotage: the wrong way round"


@pytest.mark.parametrize("method", ["mcc", pytest.param("dann", marks=pytest.mark.slow)])
def test_the_networks_last_stage_adapts_and_resumes_to_the_same_weights(
    method: str, small: TorchBackbone, photos: Path, dim: Path, tmp_path: Path
) -> None:
    adapting = replace(QUICK, methods=method, depth="network", epochs=2)
    whole = adapt_domain(photos, dim, small, adapting, out=tmp_path / "whole")
    for stop_at in (1, 6):
        left = iter(
            [True] * (stop_at + 81) + [False] * 999
        )  # two heads' steps and one look, then some of these
        with pytest.raises(KeyboardInterrupt):
            adapt_domain(
                photos, dim, small, adapting, out=tmp_path / "cut", keep_going=lambda left=left: next(left)
            )
    again = adapt_domain(photos, dim, small, adapting, out=tmp_path / "cut")
    a, b = (one.backbone.module.state_dict() for one in (whole, again))
    assert all(torch.equal(a[k], b[k]) for k in a)
    assert [replace(e, seconds=0) for e in again.tried] == [replace(e, seconds=0) for e in whole.tried]
    moved = [k for k, v in small.module.state_dict().items() if k in a and not torch.equal(v, a[k])]
    assert moved
    assert all(name.startswith(("fc.", "layer4")) for name in moved), moved
    pixels = np.stack([_fitted(p, whole.backbone) for p in sorted(dim.rglob("*.png"))[:5]])
    logits = whole.head(whole.backbone.embed(pixels))
    assert np.allclose(logits, whole.logits[:5], atol=1e-3), "the classifier is the adapted network's"


def test_finished_epochs_are_not_learnt_again_and_other_settings_are_told(
    small: TorchBackbone, photos: Path, dim: Path, tmp_path: Path
) -> None:
    adapting = replace(QUICK, methods="mmd")
    adapt_domain(photos, dim, small, adapting, out=tmp_path)
    steps: list[int] = []
    adapt_domain(
        photos, dim, small, adapting, out=tmp_path, on_step=lambda m, done, total, e: steps.append(done)
    )
    assert not steps
    with pytest.raises(InvalidInput, match="run with weight"):
        adapt_domain(photos, dim, small, replace(adapting, weight=5.0), out=tmp_path)


def test_auto_takes_the_best_by_its_criterion_and_no_target_label_plays_a_part(
    small: TorchBackbone, photos: Path, dim: Path
) -> None:
    adapting = replace(QUICK, methods="auto", epochs=2)
    found = adapt_domain(photos, dim, small, adapting)
    values = [one.criteria["clarity"] for one in found.tried]
    assert found.chosen.figures.criteria["clarity"] == max(v for v in values if v is not None)
    files = sorted(dim.rglob("*.png"))
    blind = adapt_domain(photos, files, small, adapting)
    assert blind.change is None
    assert blind.before is None
    assert (blind.method, blind.epoch) == (found.method, found.epoch)
    assert np.allclose(blind.logits, found.logits, atol=1e-5)
    assert [one.target_accuracy for one in blind.tried] == [None] * len(blind.tried)


@pytest.mark.slow
def test_the_result_is_loaded_by_both_engines(
    small: TorchBackbone, photos: Path, dim: Path, tmp_path: Path
) -> None:
    found = adapt_domain(photos, dim, small, replace(QUICK, methods="coral"), out=tmp_path)
    name = found.save(tmp_path)
    files = sorted(dim.rglob("*.png"))[:8]
    pixels = np.stack([_fitted(p, found.backbone) for p in files])
    wanted = found.backbone.embed(pixels)
    for engine in ("openvino", "torch"):
        net = load_backbone(name, engine=engine, device="cpu")
        vectors = net.embed(pixels)
        cosine = (vectors * wanted).sum(1) / np.linalg.norm(vectors, axis=1) / np.linalg.norm(wanted, axis=1)
        assert cosine.min() > 0.9999, engine
    assert isinstance(net, TorchBackbone)
    assert net.spec.weights == found.backbone.spec.weights
    with torch.inference_mode():
        logits = net.logits(net.normalize(net.prepare(pixels))).numpy()
    rows = [found.target_ids.index(str(p.relative_to(dim))) for p in files]
    assert np.allclose(logits, found.logits[rows], atol=2e-3 * np.abs(logits).max())
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics["after"]["accuracy"] == found.after.accuracy
    assert metrics["change"]["n"] == 36
    card = (tmp_path / "MODEL_CARD.md").read_text()
    assert "Embed target images only" in card
    assert "Sun et al. 2016" in card
    assert (tmp_path / "tried.csv").read_text().startswith("method,epoch,loss")
    assert len((tmp_path / "predictions.csv").read_text().splitlines()) == 37
    with pytest.raises(InvalidInput, match="adapted before"):
        adapt_domain(photos, dim, net, replace(QUICK, methods="coral"))


def test_a_backbone_without_torch_is_adapted_by_a_map_behind_it(
    photos: Path, dim: Path, tmp_path: Path
) -> None:
    net = load_backbone("classic:colour")
    found = adapt_domain(photos, dim, net, replace(QUICK, methods="mcc"), out=tmp_path)
    name = found.save(tmp_path)
    assert name.startswith("fused:")
    pixels = np.stack([_fitted(p, found.backbone) for p in sorted(dim.rglob("*.png"))[:5]])
    assert np.allclose(load_backbone(name).embed(pixels), found.backbone.embed(pixels), atol=1e-5)
    head = np.load(tmp_path / "head.npz")
    logits = found.backbone.embed(pixels) @ head["weight"].T + head["bias"]
    assert np.allclose(logits, found.logits[:5], atol=1e-3 * np.abs(logits).max())
    with pytest.raises(InvalidInput, match="does not run on torch"):
        adapt_domain(photos, dim, net, replace(QUICK, methods="adabn"))
    with pytest.raises(InvalidInput, match="cannot learn"):
        adapt_domain(photos, dim, net, replace(QUICK, methods="mcc", depth="network"))


def test_the_embedded_backbone_has_batch_norm_again_for_adabn() -> None:
    net = load_backbone("embedded")
    there = torch_of(net)
    assert there is not None
    pixels = np.random.default_rng(0).integers(0, 256, (2, 128, 128, 3), dtype=np.uint8)
    a, b = net.embed(pixels), there.embed(pixels)
    assert ((a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)).min() > 0.999


def test_harm_is_told_in_plain_words(small: TorchBackbone, photos: Path, dim: Path) -> None:
    """Labels that are permuted make a good adaptation look bad; without labels the criteria speak."""
    from featurelens.adapt.domain.change import change
    from featurelens.adapt.domain.outcome import warnings_of

    found = adapt_domain(photos, dim, small, replace(QUICK, methods="source"))
    lost = change(np.ones(100, bool), np.arange(100) < 60)
    told = warnings_of(QUICK, found.unadapted, found.chosen, lost, unlike=[], few=500)
    assert len(told) == 1
    assert told[0].startswith("Adaptation hurts: source loses 40.0%")
    unsure = change(np.arange(100) < 60, np.arange(100) < 59)
    assert "chance" in warnings_of(QUICK, found.unadapted, found.chosen, unsure, unlike=[], few=500)[0]
    worse = replace(found.chosen, figures=replace(found.chosen.figures, criteria=dict.fromkeys(METHODS, 0.0)))
    worse.figures.criteria.update(infomax=-1.0, density=-1.0, validation=9.0, reverse=9.0, silhouette=9.0)
    assert not warnings_of(QUICK, found.unadapted, worse, None, unlike=[], few=500), "density is no witness"
    worse.figures.criteria.update(silhouette=-1.0)
    told = warnings_of(QUICK, found.unadapted, worse, None, unlike=[], few=500)
    assert told[0].startswith(
        "Adaptation probably hurts: without target labels nobody knows, but infomax and silhouette are"
    )
    assert "only 36 images" in warnings_of(QUICK, found.unadapted, found.chosen, None, unlike=[], few=36)[-1]


def test_bad_input_is_told(small: TorchBackbone, photos: Path, dim: Path, tmp_path: Path) -> None:
    files = sorted(photos.rglob("*.png"))
    with pytest.raises(InvalidInput, match="none has a label"):
        adapt_domain(files, dim, small, QUICK)
    with pytest.raises(InvalidInput, match="all have the label"):
        adapt_domain(files, dim, small, QUICK, source_labels=["sky"] * len(files))
    with pytest.raises(InvalidInput, match="has 1 readable image; adapting"):
        adapt_domain(photos, files[:1], small, QUICK)
    with pytest.raises(InvalidInput, match="no file or folder"):
        adapt_domain(photos, tmp_path / "none", small, QUICK)
    with pytest.raises(UnknownName, match="coral"):
        Adapting(methods="corall")
    with pytest.raises(InvalidInput, match="each once"):
        Adapting(methods="coral,coral")
    with pytest.raises(UnknownName, match="infomax"):
        Adapting(criterion="info")
    for bad in (
        {"depth": "all"},
        {"weight": -1.0},
        {"batch_size": 1},
        {"most": 0.0},
        {"shrink": -1.0},
        {"epochs": 0},
    ):
        with pytest.raises(InvalidInput):
            Adapting(**bad)
    with pytest.raises(InvalidInput, match="held-out"):
        adapt_domain(photos, dim, small, replace(QUICK, criterion="validation", split="none"))


def test_other_class_sets_are_told(small: TorchBackbone, photos: Path, dim: Path) -> None:
    files = sorted(dim.rglob("*.png"))
    labels = [p.parent.name for p in files]
    coral = replace(QUICK, methods="coral")
    strange = adapt_domain(
        photos, files, small, coral, target_labels=["moon" if x == "sky" else x for x in labels]
    )
    assert any("1 classes of the target (moon, 12 images) are unknown" in text for text in strange.warnings)
    assert any("classes of the source (sky) are missing" in text for text in strange.warnings)
    assert strange.after is not None
    assert strange.after.n == 24
    none = adapt_domain(photos, files, small, coral, target_labels=["moon"] * 36)
    assert none.after is None
    assert any("None of the target's labels (moon) is a class" in text for text in none.warnings)


def test_a_loss_that_is_not_finite_stops_the_run(
    small: TorchBackbone, photos: Path, dim: Path, tmp_path: Path
) -> None:
    adapting = replace(QUICK, methods="deep-coral", lr=1e30, clip=0.0, warmup=0.0)
    with pytest.raises(
        (TrainingDiverged, InvalidInput, BackboneError), match=r"epoch \d+, batch \d+|at most"
    ):
        adapt_domain(photos, dim, small, adapting, out=tmp_path)


def _fitted(path: Path, net) -> np.ndarray:
    from featurelens.images import decode

    return decode(path, fit=net.spec.fit).pixels
