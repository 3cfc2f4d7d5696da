"""Harmed images search among all others; what was embedded is kept; one number sums up all kinds of harm."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from featurelens.assess.perturbations import perturb
from featurelens.assess.stability import harms, stability
from featurelens.assess.steadiness import overall, steadiness
from featurelens.backbone import load_backbone
from featurelens.features import extract
from featurelens.images.decode import decode


@pytest.fixture
def photos(tmp_path) -> Path:
    random = np.random.default_rng(0)
    for label in ("leaf", "sand"):
        (tmp_path / "photos" / label).mkdir(parents=True)
        for i in range(10):
            tint = (40, 140, 50) if label == "leaf" else (210, 180, 120)
            pixels = np.clip(random.normal(tint, 25, (40, 50, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / label / f"{i}.png")
    return tmp_path / "photos"


def test_harmed_images_search_among_all_clean_ones():
    random = np.random.default_rng(0)
    clean = random.standard_normal((50, 6))
    rows = np.array([3, 40, 7])
    harmed = clean[rows] + 0.5 * random.standard_normal((3, 6))
    found = stability(clean, harmed, rows=rows, k=5)
    unit = clean / np.linalg.norm(clean, axis=1, keepdims=True)
    kept = []
    for row, query in zip(rows, harmed, strict=True):
        others = [j for j in range(50) if j != row]
        near = [set(sorted(others, key=lambda j: -float(unit[j] @ q))[:5]) for q in (clean[row], query)]
        kept.append(len(near[0] & near[1]) / 5)
    assert found["neighbour overlap@5"].per_item == pytest.approx(kept)
    assert found["drift"].n == 3
    whole = stability(clean, clean + 0.1, k=5)["drift"].per_item[rows]
    assert stability(clean, (clean + 0.1)[rows], rows=rows, k=5)["drift"].per_item == pytest.approx(whole)


def test_harmed_features_are_those_of_harmed_pixels_and_are_kept(photos, tmp_path):
    backbone, loads = load_backbone("classic:colour"), []
    features = extract(photos, backbone)

    def load():
        loads.append(1)
        return backbone

    options = {"count": 15, "middle": True, "place": tmp_path / "kept", "seed": 3}
    steps: list[tuple[int, int]] = []
    first = steadiness(photos, features, load, on_progress=lambda *s: steps.append(s), **options)
    assert (len(loads), steps[-1], list(first)) == (1, (9, 9), harms(middle=True))
    rows = np.sort(np.random.default_rng(3).permutation(20)[:15])
    ids = [features.ids[i] for i in rows]
    pixels = np.stack([decode(photos / name, fit=backbone.spec.fit).pixels for name in ids])
    harmed = backbone.embed(perturb(pixels, "jpeg", 80.0, ids=ids, seed=3))
    by_hand = stability(features.vectors, harmed, features.labels, rows=rows, seed=3)
    assert first["jpeg", 80.0]["drift"].value == pytest.approx(by_hand["drift"].value, abs=1e-6)

    again = steadiness(photos, features, load, **options)
    assert again == first
    assert len(loads) == 1  # nothing is embedded twice, so nothing is loaded
    next((tmp_path / "kept").rglob("noise-*.npy")).write_bytes(b"cut short")
    assert steadiness(photos, features, load, **options) == first
    assert len(loads) == 2
    Image.new("RGB", (40, 50)).save(photos / ids[0])
    assert steadiness(photos, features, load, **options) != first
    assert len(list((tmp_path / "kept").iterdir())) == 1  # the old ones are dropped


def test_one_number_is_the_mean_over_the_kinds(photos):
    backbone = load_backbone("classic:colour")
    found = steadiness(photos, extract(photos, backbone), lambda: backbone, count=20)
    assert len(found) == 27
    total = overall(found)
    middle = [found[harm]["drift"].value for harm in harms(middle=True)]
    assert total["drift"].value == pytest.approx(np.mean(middle))
    assert total["drift"].interval[0] < total["drift"].value < total["drift"].interval[1]
    assert total["accuracy drop"].chance == 0
    assert overall({}) == {}
