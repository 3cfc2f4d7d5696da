"""nothing_matches_below: from the gallery's own nearest neighbours."""

from __future__ import annotations

import json

import numpy as np
import pytest

from featurelens.features import Features
from featurelens.search import Gallery, calibration, nothing_matches_below
from featurelens.search import vectors as vectors_module
from fixtures.numpy_backbone import NumpyBackbone
from oracles.nearest import nearest

DIM = 16


def rows(count: int, seed: int = 0, spread: float = 0.6) -> np.ndarray:
    """Ten clusters."""
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(size=(10, DIM))
    return (centres[random.integers(0, 10, count)] + spread * random.normal(size=(count, DIM))).astype(
        np.float32
    )


@pytest.fixture
def gallery(tmp_path):
    with Gallery.create(tmp_path, backbone=NumpyBackbone(dim=DIM)) as opened:
        add(opened, rows(300))
        yield opened


def add(gallery: Gallery, raw: np.ndarray, name: str = "first") -> None:
    gallery.add(Features.from_raw([f"{name}-{i}" for i in range(len(raw))], raw, gallery.spec))


def test_the_line_is_a_low_quantile_of_the_nearest_other_images(gallery):
    held = gallery.features().vectors
    _, cosines = nearest(held, held, 2)
    for share in (0.05, 0.2):
        line = nothing_matches_below(gallery, share=share)
        assert line == pytest.approx(np.quantile(cosines[:, 1], share), abs=1e-6)


def test_images_of_the_same_kind_match_and_strangers_do_not(gallery):
    line = nothing_matches_below(gallery)
    alike = [hits[0].similarity for hits in gallery.search_many(rows(400, seed=1), k=1)]
    strangers = np.random.default_rng(5).normal(size=(400, DIM)).astype(np.float32)
    others = [hits[0].similarity for hits in gallery.search_many(strangers, k=1)]
    assert 0.85 < np.mean(np.array(alike) >= line) <= 0.99
    assert np.mean(np.array(others) < line) > 0.8


def test_copies_are_passed_over(gallery):
    before = nothing_matches_below(gallery)
    add(gallery, rows(300) * 2, "again")  # every image has a copy now
    assert nothing_matches_below(gallery) == pytest.approx(before, abs=0.02)


def test_a_small_gallery_and_one_of_copies_only_have_no_line(tmp_path):
    (tmp_path / "copies").mkdir()
    with Gallery.create(tmp_path, backbone=NumpyBackbone(dim=DIM)) as small:
        assert nothing_matches_below(small) is None
        add(small, rows(49))
        assert nothing_matches_below(small) is None
    with Gallery.create(tmp_path / "copies", backbone=NumpyBackbone(dim=DIM)) as copies:
        add(copies, np.repeat(rows(1), 60, 0))
        assert nothing_matches_below(copies) is None


def test_it_is_kept_until_a_tenth_has_changed(gallery, monkeypatch):
    line = nothing_matches_below(gallery)
    with monkeypatch.context() as patched:
        patched.setattr(calibration, "nearest_others", None)
        assert nothing_matches_below(gallery) == line
        add(gallery, rows(20, seed=2), "few")
        assert nothing_matches_below(gallery) == line
        with Gallery.open(gallery.folder) as again:
            assert nothing_matches_below(again) == line
    add(gallery, np.random.default_rng(3).normal(size=(100, DIM)).astype(np.float32), "many")
    assert nothing_matches_below(gallery) != line


@pytest.mark.parametrize("damage", [b"", b"{}", b"[1]", b'{"state": 3}', b"\xff"])
def test_a_torn_or_deleted_file_changes_nothing(gallery, damage):
    line = nothing_matches_below(gallery)
    (gallery.folder / calibration.NAME).write_bytes(damage)
    assert nothing_matches_below(gallery) == line
    assert json.loads((gallery.folder / calibration.NAME).read_bytes())["line"] == line


def test_the_sample_is_spread_over_all_living_rows(gallery):
    add(gallery, rows(10, seed=4), "first")  # replaces ten: their rows are dead now
    snapshot = gallery.finder.snapshot()
    assert len(vectors_module.sample(snapshot, 1000)) == snapshot.alive == 300
    assert 75 <= len(vectors_module.sample(snapshot, 100)) <= 100
    held = {row.tobytes() for row in gallery.features().vectors}
    assert all(row.tobytes() in held for row in vectors_module.sample(snapshot, 100))


def test_sabotage_an_image_is_not_its_own_neighbour(gallery, monkeypatch):
    monkeypatch.setattr(calibration, "COPY", 1.1)
    assert nothing_matches_below(gallery) == pytest.approx(1.0, abs=1e-6)
