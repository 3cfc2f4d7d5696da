"""Perturbations do what their level says, the same for an image in any batch; stability follows them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

from featurelens.assess.neighbours import nearest
from featurelens.assess.perturbations import PERTURBATIONS, perturb
from featurelens.assess.stability import stability, stability_of
from featurelens.errors import InvalidInput, UnknownName


def images(n=4, side=48, seed=0):
    random = np.random.default_rng(seed)
    coarse = random.uniform(40, 215, (n, 6, 6, 3))
    return np.kron(coarse, np.ones((1, side // 6, side // 6, 1))).astype(np.uint8)


@pytest.mark.parametrize("kind", PERTURBATIONS)
def test_each_kind_is_seeded_per_image_and_grows_with_its_level(kind):
    photos, ids = images(), ["a", "b", "c", "d"]
    levels = PERTURBATIONS[kind][1]
    harm = [np.abs(perturb(photos, kind, x, ids=ids).astype(float) - photos).mean() for x in levels]
    assert harm[0] > 0
    assert harm == sorted(harm)
    whole = perturb(photos, kind, levels[1], ids=ids)
    assert np.array_equal(perturb(photos[2:3], kind, levels[1], ids=["c"])[0], whole[2])
    assert whole.dtype == np.uint8


def test_seeds_and_ids_matter():
    photo = images(n=1)
    first = perturb(photo, "noise", 0.1, ids=["a"])
    assert not np.array_equal(first, perturb(photo, "noise", 0.1, ids=["b"]))
    assert not np.array_equal(first, perturb(photo, "noise", 0.1, ids=["a"], seed=1))


def test_noise_has_its_standard_deviation_in_zero_to_one():
    grey = np.full((1, 200, 200, 3), 128, np.uint8)
    for level in (0.01, 0.05, 0.1):
        harmed = perturb(grey, "noise", level, ids=["x"]) / 255
        assert harmed.std() == pytest.approx(np.hypot(level, 1 / 255 / 12**0.5), rel=0.03)


def test_blur_equals_scipy():
    photo = images(n=1)
    expected = photo[0].astype(float)
    for axis in (0, 1):
        expected = gaussian_filter1d(expected, 2, axis=axis, mode="nearest", truncate=3)
    assert np.abs(perturb(photo, "blur", 2.0, ids=["x"])[0] - expected).max() <= 0.51


def test_brightness_contrast_and_occlusion_by_hand():
    photo = images(n=1)
    lighter = perturb(photo, "brightness", 0.1, ids=["x"]).astype(int) - photo
    assert np.unique(lighter).tolist() in ([25], [26], [25, 26], [-26], [-25], [-26, -25])
    flat = perturb(photo, "contrast", 1.0, ids=["x"])
    assert np.ptp(flat.reshape(-1, 3).astype(int), axis=0).max() == 0
    covered = (perturb(photo, "occlusion", 0.25, ids=["x"]) == 128).all(axis=-1).mean()
    assert covered == pytest.approx(0.25, abs=0.01)


def test_an_unknown_kind_lists_close_ones():
    with pytest.raises(UnknownName, match="noise"):
        perturb(images(n=1), "noize", 0.1, ids=["x"])


def test_drift_overlap_and_accuracy_equal_their_definitions():
    random = np.random.default_rng(0)
    labels = random.integers(3, size=60)
    clean = np.eye(3, 8)[labels] + 0.4 * random.standard_normal((60, 8))
    harmed = clean + 0.5 * random.standard_normal((60, 8))
    a = clean / np.linalg.norm(clean, axis=1, keepdims=True)
    b = harmed / np.linalg.norm(harmed, axis=1, keepdims=True)
    between = np.mean([1 - a[i] @ a[j] for i in range(60) for j in range(60) if i != j])
    results = stability(clean, harmed, labels, k=5)
    assert results["drift"].value == pytest.approx(np.mean(1 - (a * b).sum(axis=1)) / between, abs=1e-10)
    shared, right = [], []
    for i in range(60):
        others = [j for j in range(60) if j != i]
        near = [sorted(others, key=lambda j: -float(a[j] @ q))[:5] for q in (a[i], b[i])]
        shared.append(len(set(near[0]) & set(near[1])) / 5)
        votes = [
            np.bincount(labels[n], np.exp(a[n] @ q / 0.07), 3)
            for n, q in zip(near, (a[i], b[i]), strict=True)
        ]
        right.append([v.argmax() == labels[i] for v in votes])
    assert results["neighbour overlap@5"].value == pytest.approx(np.mean(shared))
    before, after = np.mean(right, axis=0)
    assert results["accuracy drop"].value == pytest.approx(before - after)
    assert results["accuracy drop"].value > 0


def test_unharmed_images_do_not_drift_and_other_images_drift_by_one():
    rows = np.random.default_rng(0).standard_normal((400, 6))
    same = stability(rows, rows, k=5)
    assert same["drift"].value == pytest.approx(0, abs=1e-12)
    assert same["neighbour overlap@5"].value == 1
    other = stability(rows, np.random.default_rng(1).permutation(rows), k=5)
    assert other["drift"].value == pytest.approx(1, abs=0.1)
    assert other["neighbour overlap@5"].value == pytest.approx(5 / 399, abs=0.02)


def test_edge_cases_are_undefined_or_refused():
    assert not stability(np.eye(4), np.eye(4), k=10)["drift"].defined
    assert not stability(np.ones((9, 2)), np.ones((9, 2)), k=3)["drift"].defined
    with pytest.raises(InvalidInput, match="same order"):
        stability(np.eye(4), np.eye(4)[:3], k=1)


def test_a_backbone_that_averages_is_steadier_under_noise_than_one_that_reads_single_pixels():
    photos = images(n=24)
    ids = [str(i) for i in range(24)]
    kinds = {"noise": (0.01, 0.1)}

    def average(pixels):
        return pixels.reshape(len(pixels), 6, 8, 6, 8, 3).mean(axis=(2, 4)).reshape(len(pixels), -1) - 128

    def single(pixels):
        return pixels[:, 4::8, 4::8].reshape(len(pixels), -1).astype(float) - 128

    steady = stability_of(photos, average, ids=ids, kinds=kinds, k=3)
    shaky = stability_of(photos, single, ids=ids, kinds=kinds, k=3)
    assert steady["noise", 0.1]["drift"].value < 0.5 * shaky["noise", 0.1]["drift"].value
    assert shaky["noise", 0.01]["drift"].value < shaky["noise", 0.1]["drift"].value


def test_a_query_never_finds_the_row_it_skips():
    rows = np.eye(3) + 0.1
    indices, _ = nearest(rows, rows, k=2, skip=np.arange(3))
    assert all(i not in row for i, row in enumerate(indices.tolist()))
