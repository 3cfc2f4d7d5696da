"""Concepts of painted images: exemplars, places, names, files, and queries led along them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from featurelens.adapt.concepts import Concepts, find_concepts
from featurelens.adapt.concepts.labelled import labelled, purity
from featurelens.adapt.concepts.naming import Words, plain_words, suggested
from featurelens.adapt.concepts.patches import patches_of
from featurelens.errors import BackboneError, InvalidInput, SpecMismatch
from featurelens.features import Features, extract
from fixtures.worded import COLOURS, WordedBackbone, paint

SHOWN = ("red", "green", "blue", "red-blue")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("painted")
    paint(folder, SHOWN, each=8)
    return folder


@pytest.fixture(scope="module")
def features(folder: Path) -> Features:
    found = extract(folder, WordedBackbone())
    assert isinstance(found, Features)
    return Features(found.ids, found.vectors, found.spec, tuple(one.rsplit("-", 1)[0] for one in found.ids))


@pytest.fixture(scope="module")
def words() -> Words:
    texts = [*COLOURS, "dog", "road", "cup", "tree", "lamp", "shoe", "bread", "key", "sea", "coin"]
    return plain_words(texts, WordedBackbone().embed_text(texts))


@pytest.fixture(scope="module")
def pooled(features: Features, words: Words) -> Concepts:
    return find_concepts(features, count=6, active=2, top=5, steps=300, words=words)


@pytest.fixture(scope="module")
def patches(folder: Path, features: Features) -> Concepts:
    files = [folder / one for one in features.ids]
    return find_concepts(
        features, of="patches", count=8, active=2, top=12, steps=200, backbone=WordedBackbone(), files=files
    )


def of_colour(found: Concepts, colour: str) -> int:
    """The concept whose direction is most like a colour's axis, the other colours taken away."""
    axes = found.dictionary.decoder[:, : len(COLOURS)]
    return int((axes[:, list(COLOURS).index(colour)] * 2 - np.abs(axes).sum(1)).argmax())


def test_the_account_of_each_concept_is_right(pooled: Concepts, features: Features) -> None:
    activations = pooled.dictionary.encode(features.vectors)
    assert (pooled.images, pooled.vectors, len(pooled)) == (32, 32, 6)
    assert pooled.fired == pytest.approx((activations > 0).sum(1).mean())
    for one in pooled.concepts:
        column = activations[:, one.number]
        assert one.frequency == pytest.approx((column > 0).mean())
        values = sorted((float(v) for v in column if v > 0), reverse=True)[:5]
        assert [e.activation for e in one.exemplars] == pytest.approx(values)
        assert all(e.label == e.image.rsplit("-", 1)[0] and e.place is None for e in one.exemplars)
        if values:
            assert one.strength == pytest.approx(column[column > 0].mean(), rel=1e-5)
        assert one.dead is (not values)


def test_patches_tell_where_they_fire(patches: Concepts) -> None:
    """In an image whose left half is red and whose right is blue, a concept of red fires on the left."""
    red, blue = (on_plain(patches, colour) for colour in ("red", "blue"))
    left, right = 0, 0
    for one in patches.concepts:
        for exemplar in one.exemplars:
            assert exemplar.where is not None
            assert exemplar.where.shape == (4, 4)
            assert exemplar.where.max() == pytest.approx(exemplar.activation, rel=1e-5)
            assert exemplar.place is not None
            if exemplar.label != "red-blue" or (red[one.number] > 0) == (blue[one.number] > 0):
                continue
            assert (exemplar.place[1] < 0.5) is bool(red[one.number] > 0)
            left, right = left + (exemplar.place[1] < 0.5), right + (exemplar.place[1] > 0.5)
    assert left + right >= 3
    assert patches.vectors == 32 * 16
    assert patches.searchable, "the mean of this map is the vector"


def on_plain(found: Concepts, colour: str) -> np.ndarray:
    """The activations of a place that shows one colour."""
    pixels = np.full((1, 32, 32, 3), COLOURS[colour], np.uint8)
    return found.dictionary.encode(WordedBackbone().maps(pixels)[:, :, 0, 0])[0]


def test_names_are_what_the_images_show(pooled: Concepts) -> None:
    named = {one.name for one in pooled.concepts if one.name}
    assert named, "no concept has a name"
    for one in pooled.concepts:
        if one.name:
            assert all(one.name in e.label for e in one.exemplars), (one.name, one.exemplars)


def test_without_anything_to_name_there_are_few_names(features: Features, words: Words) -> None:
    """The sabotage: exemplars drawn at random get a name in about 5 of 100 cases."""
    random = np.random.default_rng(3)
    drawn = np.stack([random.choice(len(features), 5, replace=False) for _ in range(200)])
    names = suggested(drawn, features.vectors, words)
    assert np.mean([name is not None for name in names]) < 0.12
    right = np.array([[i for i, label in enumerate(features.labels or ()) if label == "green"][:5]])
    assert suggested(right, features.vectors, words) == ["green"]
    assert suggested(right, features.vectors, None) == [None]


def test_steering_adds_and_takes_away(pooled: Concepts, features: Features) -> None:
    red = features.vectors[features.ids.index("red-0.png")]
    number = of_colour(pooled, "blue")
    direction = pooled.direction(number)
    for weight in (1.0, -0.5):
        wanted = red + weight * pooled.dictionary.decoder[number]
        assert np.allclose(
            pooled.steer(3 * red, {number: weight}), wanted / np.linalg.norm(wanted), atol=1e-6
        )
    cosines = [float(pooled.steer(red, {number: w}) @ direction) for w in (-1, 0, 1)]
    assert cosines[0] < cosines[1] < cosines[2]
    labels = np.array(features.labels)
    best = labels[np.argsort(-(features.vectors @ direction))[:8]]
    assert (best == "blue").all()
    led = labels[np.argsort(-(features.vectors @ pooled.steer(red, {number: 0.8})))[:8]]
    plain = labels[np.argsort(-(features.vectors @ red))[:8]]
    assert np.mean(["blue" in one for one in led]) > np.mean(["blue" in one for one in plain])


def test_what_is_saved_is_what_is_loaded(pooled: Concepts, patches: Concepts, tmp_path: Path) -> None:
    for found in (pooled, patches, pooled):  # the third replaces the second
        found.save(tmp_path / "kept")
        again = Concepts.load(tmp_path / "kept")
        for name in ("centre", "encoder", "bias", "decoder", "scale", "active"):
            assert np.array_equal(getattr(again.dictionary, name), getattr(found.dictionary, name))
        assert (again.of, again.searchable, again.spec) == (found.of, found.searchable, found.spec)
        assert again.labelled is not None
        assert found.labelled is not None
        assert again.labelled.of(1) == found.labelled.of(1)
        for one, two in zip(found.concepts, again.concepts, strict=True):
            assert (one.number, one.name, one.frequency) == (two.number, two.name, two.frequency)
            assert [e.image for e in one.exemplars] == [e.image for e in two.exemplars]
            assert [e.place for e in one.exemplars] == [e.place for e in two.exemplars]
    told = json.loads((tmp_path / "kept" / "concepts.json").read_text())
    assert len(told["concepts"]) == 6
    (tmp_path / "kept" / "concepts.npz").write_bytes(b"PK\x03\x04 cut off")
    with pytest.raises(InvalidInput, match="Learn them anew"):
        Concepts.load(tmp_path / "kept")
    with pytest.raises(InvalidInput, match="There are no concepts in"):
        Concepts.load(tmp_path / "nowhere")


def test_what_cannot_be_is_told(pooled: Concepts, features: Features, folder: Path) -> None:
    with pytest.raises(InvalidInput, match="There is no concept 6"):
        pooled.steer(None, {6: 1.0})
    with pytest.raises(InvalidInput, match="cancel"):
        pooled.steer(pooled.direction(0), {0: -1.0})
    with pytest.raises(InvalidInput, match="--of pooled"):
        replace(pooled, searchable=False).direction(0)
    with pytest.raises(SpecMismatch, match="Learn them anew"):
        pooled.check(replace(features.spec, weights="others"))
    with pytest.raises(InvalidInput, match="Patches need the backbone"):
        find_concepts(features, of="patches", count=4)
    flat = WordedBackbone()
    flat.spec = replace(flat.spec, map_channels=0)
    with pytest.raises(BackboneError, match="--of pooled"):
        patches_of([folder / features.ids[0]], flat)


def test_files_that_cannot_be_read_are_told_and_left_out(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"no picture")
    files = [folder / "red-0.png", tmp_path / "broken.png", tmp_path / "away.png", folder / "blue-0.png"]
    found = patches_of(files, WordedBackbone())
    assert found.images.tolist() == [0, 3]
    assert [number for number, _ in found.skipped] == [1, 2]
    assert patches_of([files[0]] * 10, WordedBackbone(), max_bytes=4 * 4 * 4 * 16 * 3).tokens.shape[0] == 3
    with pytest.raises(InvalidInput, match="None of the 1 images"):
        patches_of(files[1:2], WordedBackbone())


def test_labels_tell_where_a_concept_fires_and_how_pure_it_is(pooled: Concepts, features: Features) -> None:
    fires = pooled.dictionary.encode(features.vectors) > 0
    labels = np.array(features.labels)
    assert pooled.labelled is not None
    for one in pooled.concepts:
        told = pooled.labelled.of(one.number)
        assert {label: (n, of) for label, n, of in told} == {
            kind: (int(fires[labels == kind, one.number].sum()), 8) for kind in SHOWN
        }
        shares = [n / of for _, n, of in told]
        assert shares == sorted(shares, reverse=True)
        pure = purity(one, pooled.labelled)
        if one.dead:
            assert pure is None
            continue
        assert pure is not None
        own = [e.label for e in one.exemplars]
        assert (pure.count, pure.of) == (max(own.count(kind) for kind in SHOWN), len(own))
        # by hand: the largest count among so many drawn from four labels of eight each
        random = np.random.default_rng(5)
        drawn = [random.choice(labels, len(own), replace=False) for _ in range(4000)]
        chance = np.mean([np.unique(some, return_counts=True)[1].max() for some in drawn]) / len(own)
        assert pure.chance == pytest.approx(chance, abs=0.02)
    assert labelled(fires, None) is None
    assert labelled(fires, [""] * 32) is None
    some = labelled(fires, ["", *labels[1:]])
    assert some is not None
    assert sum(of for _, _, of in some.of(0)) == 31, "an image without a label is not among the labels"
    assert some.chance(5) < 1
