"""Training a fusion: it finds the source that tells something, and as a file it computes the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from featurelens.adapt.fused_backbone import fuse_backbones
from featurelens.adapt.fusing import fuse, fused, write_fusion
from featurelens.backbone import load_backbone
from featurelens.backbone.fused import HEAD, runner
from featurelens.backbone.members import Member, common_fit, part_of
from featurelens.errors import BackboneError, InvalidInput
from featurelens.features import Features, extract
from featurelens.images.fit import Fit
from featurelens.nn import Weighted
from featurelens.nn.fusion import FUSIONS
from featurelens.search import Gallery

NAMES = ("classic:hog", "classic:colour")


@pytest.fixture(scope="module")
def planted() -> tuple[list[np.ndarray], list[str], list[np.ndarray]]:
    """Source 0 tells four classes, source 1 is noise; and the same images once more, seen otherwise."""
    random = np.random.default_rng(0)
    codes = np.arange(120) % 4
    good, noise = np.eye(8)[codes] + 0.25 * random.normal(size=(120, 8)), random.normal(size=(120, 12))
    again = [good + 0.1 * random.normal(size=good.shape), random.normal(size=noise.shape)]
    return [good, noise], [f"class {c}" for c in codes], again


@pytest.mark.parametrize("by", ["labels", "views"])
def test_weights_go_to_the_source_that_tells_something(planted, by: str) -> None:
    sources, labels, views = planted
    given = {"labels": labels} if by == "labels" else {"views": views}
    fusion = fuse("weights", sources, **given)
    assert isinstance(fusion, Weighted)
    assert fusion.weights[0] > 0.8
    turned = {"labels": labels} if by == "labels" else {"views": views[::-1]}
    assert fuse("weights", sources[::-1], **turned).weights[1] > 0.8, "wherever it stands"


def test_attention_learns_the_classes(planted) -> None:
    sources, labels, _ = planted
    before = fused(fuse("concat", sources), sources)
    after = fused(fuse("attention", sources, labels=labels, dim=16, heads=2), sources)

    def apart(rows: np.ndarray) -> float:
        rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        same = np.equal.outer(labels, labels)
        return float((rows @ rows.T)[same].mean() - (rows @ rows.T)[~same].mean())

    assert apart(after) > apart(before) + 0.2


def test_a_fusion_that_learns_wants_something_to_learn_from(planted) -> None:
    sources, labels, _ = planted
    for given in ({}, {"labels": ["one"] * 120}, {"labels": [""] * 120}):
        with pytest.raises(InvalidInput, match="labels of two classes"):
            fuse("attention", sources, **given)
    some = ["" if n % 3 else label for n, label in enumerate(labels)]
    fuse("weights", sources, labels=some, epochs=2)


@pytest.mark.parametrize("kind", FUSIONS)
def test_the_file_computes_what_torch_does(planted, kind: str, tmp_path: Path) -> None:
    sources, labels, _ = planted
    fusion = fuse(kind, sources, labels=labels, dim=8, heads=2, epochs=2)
    write_fusion(fusion, tmp_path / "fusion.onnx")
    join, arrays = runner(tmp_path / "fusion.onnx"), [s.astype(np.float32) for s in sources]
    for rows in (120, 1, 7):
        found, expected = join([s[:rows] for s in arrays]), fused(fusion, [s[:rows] for s in arrays])
        assert np.abs(found - expected).max() <= 1e-4 * np.abs(expected).max()


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from fixtures.scenes import saved, scene

    folder = tmp_path_factory.mktemp("photos")
    for kind in ("a", "b"):
        (folder / kind).mkdir()
        for n in range(10):
            (folder / kind / f"{n}.png").write_bytes(saved(scene(n + 50 * (kind == "b"), 70, 90), "PNG"))
    (folder / "broken.jpg").write_bytes(b"\xff\xd8 no")
    return folder


def loaded():
    return [(Member(name), load_backbone(name)) for name in NAMES]


@pytest.mark.parametrize(
    ("kind", "train"), [("concat", "auto"), ("attention", "labels"), ("weights", "views")]
)
def test_a_fused_backbone_is_a_backbone_and_makes_galleries(
    photos: Path, kind: str, train: str, tmp_path: Path
) -> None:
    made = fuse_backbones(photos, loaded(), kind, train=train, dim=16, heads=2)
    assert len(made.features) == 20
    assert made.features.skipped[0][0] == "broken.jpg"
    made.write(tmp_path / "fused")
    backbone = load_backbone(f"fused:{tmp_path / 'fused'}")
    again = extract(photos, backbone)
    assert isinstance(again, Features)
    assert (again.vectors * made.features.vectors).sum(1).min() >= 0.9999
    with Gallery.create(photos, backbone=f"fused:{tmp_path / 'fused'}", at=tmp_path / "gallery") as gallery:
        gallery.update()
        hits = gallery.search(photos / "a" / "3.png", k=3)
        assert hits[0].name == "a/3.png"
    with Gallery.open(tmp_path / "gallery") as gallery:  # the gallery finds its backbone by name
        assert gallery.search(photos / "b" / "3.png", k=1)[0].name == "b/3.png"


def test_a_member_that_has_changed_is_refused(photos: Path, tmp_path: Path) -> None:
    fuse_backbones(photos, loaded(), "concat").write(tmp_path / "fused")
    head = tmp_path / "fused" / HEAD
    text = head.read_text()
    head.write_text(text.replace("classic:hog", "classic:lbp"))
    with pytest.raises(BackboneError, match="fuse again"):
        load_backbone(f"fused:{tmp_path / 'fused'}")
    head.write_text(text[:40])
    with pytest.raises(BackboneError, match="featurelens extract"):
        load_backbone(f"fused:{tmp_path / 'fused'}")
    with pytest.raises(InvalidInput, match="two or more"):
        fuse_backbones(photos, loaded()[:1], "concat")


def test_each_member_gets_its_own_part_of_the_square() -> None:
    small, large = Fit(64, 64, crop_pct=1.0), Fit(96, 96)
    whole = common_fit([small, large])
    assert (whole.rows, whole.crop_pct) == (109, 1.0)
    pixels = np.zeros((1, 109, 109, 3), np.uint8)
    pixels[:, 6:103, 6:103] = 200  # what the larger one's crop keeps is bright
    assert part_of(pixels, whole, large).min() > 150
    assert part_of(pixels, whole, small).min() < 50
    assert common_fit([large, large]) == large


def test_layers_and_scales_and_texts_are_sources_too() -> None:
    """Any arrays with one row an item: two layers of a network, two scales, an image's and its caption's vectors."""
    pixels = np.random.default_rng(0).integers(0, 256, (8, 160, 160, 3), dtype=np.uint8)
    net = load_backbone("test_resnet", engine="torch", pretrained=False)
    sets = extract(pixels, net, layers=["layer2", "layer3"])
    assert isinstance(sets, dict)
    layers = [one.vectors for one in sets.values()]
    nets = [load_backbone("test_resnet", engine="torch", pretrained=False, size=s) for s in (96, 160)]
    scales = [net.embed(pixels[:, : net.spec.fit.rows, : net.spec.fit.rows]) for net in nets]
    text = np.random.default_rng(1).normal(size=(8, 5))
    for sources in (layers, scales, [layers[0], text]):
        rows = fused(fuse("concat", sources), sources)
        assert rows.shape == (8, sum(s.shape[1] for s in sources))
