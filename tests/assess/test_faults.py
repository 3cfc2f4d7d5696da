"""Planted faults are found: copies across a split, one photo under two labels, flipped labels, backgrounds."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from PIL import Image

from featurelens.assess import choose, render
from featurelens.assess.background import background_predicts, border
from featurelens.assess.copies import across, copies, two_labels
from featurelens.assess.mislabelled import mislabelled
from featurelens.errors import InvalidInput


def clustered(n=300, d=24, classes=5, noise=0.7, seed=0):
    random = np.random.default_rng(seed)
    labels = random.integers(classes, size=n)
    return random.standard_normal((classes, d))[labels] + noise * random.standard_normal((n, d)), labels


def test_planted_copies_are_found_and_nothing_else():
    features, labels = clustered()
    random = np.random.default_rng(1)
    twins = features[:10] + 0.02 * random.standard_normal((10, 24))
    everything = np.concatenate([features, twins])
    pairs = copies(everything)
    assert sorted((p.a, p.b) for p in pairs) == [(i, 300 + i) for i in range(10)]
    assert all(p.relative < 0.15 for p in pairs)
    sides = ["train"] * 300 + ["test"] * 5 + ["train"] * 4 + [""]
    assert sorted(p.b for p in across(pairs, sides)) == [300, 301, 302, 303, 304]
    given = [*labels, *labels[:9], (labels[9] + 1) % 5]
    assert [p.b for p in two_labels(pairs, given, 310)] == [309]


def test_without_copies_there_are_none():
    assert copies(clustered()[0]) == []
    assert copies(np.ones((1, 3))) == []
    with pytest.raises(InvalidInput, match="one per row"):
        across(copies(np.vstack([np.eye(4), np.eye(4)[:1]]), limit=0.1), ["train"])


def test_flipped_labels_are_found():
    features, labels = clustered()
    random = np.random.default_rng(0)
    flipped = random.choice(300, 15, replace=False)
    wrong = labels.copy()
    wrong[flipped] = (wrong[flipped] + random.integers(1, 5, 15)) % 5
    found = mislabelled(features, wrong)
    hits = [s for s in found if s.row in flipped]
    assert len(hits) >= 0.6 * 15
    assert len(hits) >= 0.5 * len(found)
    assert np.mean([s.suggested == str(labels[s.row]) for s in hits]) > 0.9
    assert all(s.given == str(wrong[s.row]) for s in found)
    assert len(mislabelled(features, labels)) < 5


def test_shuffled_labels_do_not_make_everything_a_suspect():
    features, labels = clustered()
    assert mislabelled(features[:5], labels[:5]) == []
    assert mislabelled(features, ["same"] * 300) == []


def test_an_image_alone_in_its_class_is_no_suspect(recwarn):
    """Nobody else can tell its class, so that all others would speak against it."""
    labels = [f"class {i}" for i in np.repeat(range(5), 4)] + [f"alone {i}" for i in range(25)]
    features = np.eye(30)[[*np.repeat(range(5), 4), *range(5, 30)]]
    features += 0.01 * np.random.default_rng(0).standard_normal(features.shape)
    assert mislabelled(features, labels) == []
    assert not recwarn.list
    labels[0], labels[4] = labels[4], labels[0]
    assert {s.row for s in mislabelled(features, labels)} == {0, 4}


def photos(tied, n=120, seed=0):
    """Noise images whose frame has the colour of the class, or any colour."""
    random = np.random.default_rng(seed)
    labels = random.integers(3, size=n)
    tint = labels if tied else random.integers(3, size=n)
    images = random.integers(0, 255, (n, 40, 40, 3)).astype(np.uint8)
    images[:, :6] = np.array([[200, 40, 40], [40, 200, 40], [40, 40, 200]], np.uint8)[tint][:, None, None]
    return images, labels


def test_a_background_that_gives_the_class_away_is_reported():
    images, labels = photos(tied=True)
    result = background_predicts(border(images), labels)
    assert result.value > 0.95
    assert result.detail["warning"]
    assert len(result.detail["given_away"]) == 3


def test_a_background_that_says_nothing_is_not():
    images, labels = photos(tied=False)
    result = background_predicts(border(images), labels)
    assert not result.detail["warning"]
    assert result.interval[0] < result.chance <= result.interval[1]
    assert not background_predicts(border(images), ["x"] * 120).defined


def test_a_probe_that_always_says_the_commonest_class_gives_nothing_away():
    """Its recall of that class is 1, though all frames are alike or noise."""
    labels = np.repeat(["a", "b", "c"], [40, 30, 30])
    noise = np.random.default_rng(2).normal(size=(100, 144)).astype(np.float32)
    for frames in (np.ones_like(noise), noise):
        found = background_predicts(frames, labels)
        assert found.detail["given_away"] == []
        assert not found.detail["warning"]


def test_of_two_classes_of_different_size_the_background_is_told():
    labels = np.repeat([0, 1], [80, 20])
    frames = np.random.default_rng(0).normal(size=(100, 12)).astype(np.float32)
    assert background_predicts(frames, labels).detail["given_away"] == []
    frames[:, 0] += 6 * labels
    found = background_predicts(frames, labels)
    assert found.detail["given_away"]
    assert found.detail["warning"]


def test_the_frame_never_sees_the_middle():
    images, _ = photos(tied=True)
    other = images.copy()
    other[:, 8:-8, 8:-8] = 0
    assert np.array_equal(border(images), border(other))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["clothing10", "flowers5"])
def test_faults_in_real_photos_with_the_real_mobilenet(name, real):
    features = real(name, "mobilenetv2")
    labels = np.array(features.labels)
    pairs = copies(features.vectors)
    conflicts = two_labels(pairs, labels, len(labels))
    assert len(conflicts) == (1 if name == "clothing10" else 0)
    if conflicts:
        both = {features.ids[conflicts[0].a], features.ids[conflicts[0].b]}
        assert any("6075b4a5" in i for i in both)
        assert any("637a56e4" in i for i in both)
    for seed in range(5):
        random = np.random.default_rng(seed)
        flipped = random.choice(len(labels), len(labels) // 20, replace=False)
        wrong = labels.copy()
        for row in flipped:
            wrong[row] = random.choice([c for c in np.unique(labels) if c != labels[row]])
        found = {s.row for s in mislabelled(features.vectors, wrong)}
        hits = len(found & set(flipped.tolist()))
        assert hits >= 0.6 * len(flipped)
        assert hits >= 0.5 * len(found)


@pytest.mark.slow
def test_copies_planted_across_a_split_are_found_and_shown(shared, tmp_path):
    """Exact, re-saved and shrunken copies of training photos among the test photos, each named in the report."""
    planted = set()
    for folder in ("dress", "hat", "pants", "shoes"):
        photos = sorted((shared / "data" / "clothing10" / folder).iterdir())[:30]
        for i, photo in enumerate(photos):
            home = tmp_path / "photos" / ("train" if i < 20 else "test") / folder
            home.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(photo, home / photo.name)
        for i, photo in enumerate(photos[:3]):
            copy = tmp_path / "photos" / "test" / folder / f"copy{i}.jpg"
            planted.add((f"test/{folder}/{copy.name}", f"train/{folder}/{photo.name}"))
            image = Image.open(photo).convert("RGB")
            if i == 0:
                shutil.copyfile(photo, copy)
            elif i == 1:
                image.save(copy, quality=60)
            else:
                image.resize((image.width * 7 // 10, image.height * 7 // 10)).save(copy, quality=85)
    network = f"local-dir:{shared / 'weights' / 'mobilenetv2_100.tflite_in1k'}"
    chosen = choose(tmp_path / "photos", [network], split="folder", stable=0, cache=tmp_path / "cache")
    ids = chosen.study[network].features.ids
    found = {tuple(sorted((ids[p.a], ids[p.b]))) for p in chosen.findings.leaks}
    assert planted <= found
    assert len(found - planted) <= 1
    assert "Near-copies across the split" in render(chosen)
    assert chosen.study[network].measures["kNN accuracy, k = 10"].n == 52
