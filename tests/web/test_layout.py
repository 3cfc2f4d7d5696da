"""The map: principal components as scikit-learn's, groups as good as its k-means, places inside the frame."""

from __future__ import annotations

import numpy as np
import pytest

from featurelens.web.layout import Layout, by_components, by_neighbours, components, groups


def blobs(count: int, *, seed: int = 0, centres: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors around a few directions, and which direction each belongs to."""
    random = np.random.default_rng(seed)
    middle = random.normal(size=(centres, 24))
    which = random.integers(0, centres, count)
    rows = middle[which] + 0.25 * random.normal(size=(count, 24))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32), which


def test_components_are_those_of_scikit_learn():
    decomposition = pytest.importorskip("sklearn.decomposition")
    rows, _ = blobs(400)
    expected = decomposition.PCA(4, svd_solver="full").fit_transform(rows.astype(np.float64))
    found = components(rows, 4)
    signs = np.sign((found * expected).sum(0))
    np.testing.assert_allclose(found, expected * signs, atol=1e-5)


def test_groups_are_as_tight_as_those_of_scikit_learn():
    cluster = pytest.importorskip("sklearn.cluster")
    rows, _ = blobs(600)
    found = groups(rows.astype(np.float64), most=5)

    def spread(labels: np.ndarray) -> float:
        return sum(float(((rows[labels == i] - rows[labels == i].mean(0)) ** 2).sum()) for i in set(labels))

    theirs = cluster.KMeans(5, n_init=10, random_state=0).fit_predict(rows)
    assert spread(found) <= 1.02 * spread(theirs)
    assert spread(np.random.default_rng(0).permutation(found)) > 2 * spread(theirs)  # a sabotage
    sizes = np.bincount(found)
    assert list(sizes) == sorted(sizes, reverse=True)


def test_places_lie_in_the_frame_and_keep_their_proportions():
    rows, _ = blobs(300)
    found = by_components(np.arange(300), rows)
    assert np.abs(found.places).max() == pytest.approx(1, abs=1e-6)
    raw = components(rows, 2)
    ratio = np.ptp(raw, axis=0)
    np.testing.assert_allclose(np.ptp(found.places, axis=0) * ratio[0], 2 * ratio, rtol=1e-4)


@pytest.mark.parametrize("count", [0, 1, 2, 9])
def test_few_images(count: int):
    rows, _ = blobs(count) if count else (np.empty((0, 24), np.float32), None)
    found = by_components(np.arange(count), rows)
    assert found.places.shape == (count, 2)
    assert np.isfinite(found.places).all()
    assert len(found.cluster) == count


def test_neighbours_stay_together():
    pytest.importorskip("openTSNE", reason="the extra maps")
    neighbors = pytest.importorskip("sklearn.neighbors")
    rows, which = blobs(200)
    steps = []
    found = by_neighbours(np.arange(200), rows, on_progress=lambda done, total: steps.append((done, total)))
    near = neighbors.KNeighborsClassifier(5).fit(found.places, which).predict(found.places)
    assert (near == which).mean() > 0.97
    assert steps == sorted(steps)
    assert steps[-1][0] == steps[-1][1]


def test_a_map_that_is_cancelled_stops():
    pytest.importorskip("openTSNE", reason="the extra maps")
    rows, _ = blobs(200)
    seen = []

    def stop(done: int, total: int) -> None:
        seen.append(done)
        if done >= 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        by_neighbours(np.arange(200), rows, on_progress=stop)
    assert max(seen) < 100


def test_a_layout_is_kept_whole_or_not_at_all(tmp_path):
    rows, _ = blobs(30)
    made = by_components(np.arange(30), rows)
    file = tmp_path / "web" / "layout.npz"
    made.save(file)
    again = Layout.load(file)
    assert again is not None
    np.testing.assert_array_equal(again.places, made.places)
    file.write_bytes(file.read_bytes()[:100])
    assert Layout.load(file) is None
    assert Layout.load(tmp_path / "none.npz") is None
