"""The measures of a shift between two domains, and the domains that are made from photos."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score

from featurelens.assess import (
    DOMAINS,
    class_shift,
    coral_distance,
    linear_cka,
    mmd,
    proxy_a_distance,
    shift,
    shift_cka,
    to_domain,
    write_domain,
)
from featurelens.backbone.protocol import Spec
from featurelens.errors import InvalidInput, SpecMismatch, UnknownName
from featurelens.features.table import Features
from fixtures.learning import draw_classes
from oracles import domain as slow

RANDOM = np.random.default_rng(3)
X = RANDOM.normal(size=(30, 4))
Y = RANDOM.normal(size=(26, 4)) @ RANDOM.normal(size=(4, 4)) + 0.5


def test_mmd_is_grettons() -> None:
    found = mmd(X, Y)
    assert found.value == pytest.approx(slow.mmd(X, Y, slow.median_kernel(X, Y)), rel=1e-9)
    assert found.detail["p"] < 0.05
    assert mmd(X, RANDOM.normal(size=(30, 4))).detail["p"] > 0.05
    assert slow.mmd(X, Y, slow.median_kernel(X, 3 * Y)) != pytest.approx(found.value, rel=0.02), "a sabotage"


def test_coral_distance_is_the_papers() -> None:
    assert coral_distance(X, Y).value == pytest.approx(slow.coral(X, Y), rel=1e-9)
    a, b = np.cov(X.T), np.cov(Y.T)
    wanted = ((a - b) ** 2).sum() / ((a**2).sum() + (b**2).sum())
    assert coral_distance(X, Y, relative=True).value == pytest.approx(wanted, rel=1e-9)
    assert coral_distance(X, X + 7).value == pytest.approx(0, abs=1e-12)


def test_cka_over_dimensions_is_linear_cka_of_the_turned_tables() -> None:
    wanted = linear_cka((X - X.mean(0)).T, (Y - Y.mean(0)).T).value
    assert shift_cka(X, Y).value == pytest.approx(wanted, rel=1e-9)
    assert shift_cka(X, Y).value < shift_cka(X, X * 2 + 1).value == pytest.approx(1)


def test_proxy_a_distance_is_that_of_scikit_learns_classifier() -> None:
    x, y = RANDOM.normal(size=(150, 6)), RANDOM.normal(size=(150, 6)) + 0.6
    rows = np.concatenate([x, y])
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    right = cross_val_score(LogisticRegression(C=10.0), rows, [0] * 150 + [1] * 150, cv=5).mean()
    found = proxy_a_distance(x, y)
    assert found.value == pytest.approx(2 * (1 - 2 * (1 - right)), abs=0.15)
    assert found.interval is not None
    assert found.interval[0] < found.value < found.interval[1]
    same = proxy_a_distance(x, RANDOM.normal(size=(150, 6)))
    assert abs(same.value) < 0.4 < found.value


def test_unequal_sides_count_alike() -> None:
    """A classifier that always says the larger side would otherwise look as if it could tell."""
    found = proxy_a_distance(RANDOM.normal(size=(400, 3)), RANDOM.normal(size=(40, 3)))
    assert found.n == 80
    assert abs(found.value) < 0.8


@pytest.mark.parametrize("measure", [mmd, coral_distance, shift_cka])
def test_intervals_and_chance(measure) -> None:
    found = measure(
        RANDOM.normal(size=(80, 4)) * [3, 1, 1, 2], RANDOM.normal(size=(70, 4)) * [1, 3, 2, 1] + 1
    )
    assert found.interval[0] < found.value < found.interval[1]
    gap = found.value - found.chance
    assert gap > 0 if found.better == "lower" else gap < 0
    assert not measure(X[:3], Y).defined
    assert not measure(np.ones((9, 4)), Y).defined
    with pytest.raises(InvalidInput, match="4 and 2 numbers"):
        measure(X, Y[:, :2])
    assert measure(X, Y) == measure(X, Y)


def table(rows: np.ndarray, labels: list[str] | None, **changes) -> Features:
    spec = replace(Spec("drawn", "w", rows.shape[1]), **changes)
    return Features.from_raw([f"{i}.png" for i in range(len(rows))], rows, spec, labels=labels)


def test_a_shift_of_one_class_is_found_and_named() -> None:
    x = RANDOM.normal(size=(90, 5)) + 3 * np.eye(5)[np.arange(90) % 3]
    y = RANDOM.normal(size=(90, 5)) + 3 * np.eye(5)[np.arange(90) % 3]
    y[1::3] += 2.0
    labels = ["a", "b", "c"] * 30
    found = shift(table(x, labels), table(y, labels))
    assert next(iter(found.classes)) == "b"
    assert found.mixture == 0
    assert set(found.measures) == {
        "proxy A-distance",
        "MMD²",
        "CORAL distance (relative)",
        "CKA over dimensions",
    }
    other = shift(table(x, labels), table(y, ["a", "a", "d"] * 30))
    assert other.only_source == ("b", "c")
    assert other.only_target == ("d",)
    assert other.mixture == pytest.approx(2 / 3)
    assert shift(table(x, None), table(y, labels)).mixture is None
    assert "CKA" in shift(table(x, None), table(y, None), paired=True).measures
    with pytest.raises(SpecMismatch, match="one backbone"):
        shift(table(x, labels), table(y, labels, weights="other"))
    assert class_shift(x, labels, y, ["z"] * 90) == {}


def test_domains_keep_the_scene_and_change_the_look() -> None:
    random = np.random.default_rng(0)
    photo = np.asarray(
        Image.fromarray(random.integers(0, 256, (8, 8, 3), dtype=np.uint8)).resize(
            (96, 96), Image.Resampling.BICUBIC
        )
    )
    grain = random.integers(-20, 20, photo.shape)
    photo = np.clip(photo.astype(int) + grain, 0, 255).astype(np.uint8)
    made = {kind: to_domain(photo, kind, name="one") for kind in DOMAINS}
    assert all(one.shape == photo.shape and one.dtype == np.uint8 for one in made.values())
    assert np.ptp(made["sketch"].astype(int), axis=2).max() == 0, "a sketch is grey"
    assert np.median(made["sketch"]) > 150, "on light paper"
    assert len(np.unique(made["cartoon"])) < 12, "few tones"
    assert made["low-light"].mean() < 0.4 * photo.mean()
    means = made["colour-cast"].mean((0, 1)) / photo.mean((0, 1))
    assert means.max() / means.min() > 1.5, "channels apart"
    detail = [float(np.abs(np.diff(one.astype(float), axis=0)).mean()) for one in (made["blur"], photo)]
    assert detail[0] < 0.9 * detail[1]
    for kind in DOMAINS:
        assert np.array_equal(made[kind], to_domain(photo, kind, name="one")), "seeded"
    assert not np.array_equal(made["low-light"], to_domain(photo, "low-light", name="two"))
    assert not np.array_equal(made["low-light"], to_domain(photo, "low-light", name="one", seed=1))
    with pytest.raises(UnknownName, match="sketch"):
        to_domain(photo, "skech", name="one")


def test_names_that_differ_in_their_ending_stay_apart(tmp_path: Path) -> None:
    names = ["a.jpg", "a.png", "a.jpg.png", "b.jpg"]
    (tmp_path / "photos").mkdir()
    for shade, name in enumerate(names):
        Image.new("RGB", (16, 16), (60 * shade, 0, 0)).save(tmp_path / "photos" / name)
    assert write_domain(tmp_path / "photos", tmp_path / "out", "colour-cast") == 4
    made = sorted((tmp_path / "out").iterdir())
    assert [p.name for p in made] == ["a.jpg.png", "a.jpg.png.png", "a.png.png", "b.png"]
    assert len({p.read_bytes() for p in made}) == 4


def test_a_folder_in_another_domain(tmp_path: Path) -> None:
    photos = draw_classes(tmp_path / "photos", each=2)
    (photos / "sky" / "broken.jpg").write_bytes(b"\xff\xd8 no")
    assert write_domain(photos, tmp_path / "out", "sketch", side=24) == 6
    assert sorted(p.name for p in (tmp_path / "out" / "sky").iterdir()) == ["00.png", "01.png"]
    with Image.open(tmp_path / "out" / "sky" / "00.png") as image:
        assert max(image.size) == 24
    first = (tmp_path / "out" / "sky" / "00.png").stat().st_mtime_ns
    assert write_domain(photos, tmp_path / "out", "sketch", side=24) == 6
    assert (tmp_path / "out" / "sky" / "00.png").stat().st_mtime_ns == first, "what is there stays"
