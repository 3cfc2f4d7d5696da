"""RankMe, alpha-ReQ, uniformity, alignment, intrinsic dimension and hubness against closed forms and twins."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import pdist
from scipy.stats import skew
from sklearn.neighbors import NearestNeighbors

from featurelens.assess.geometry import alignment, hubness, intrinsic_dimension, uniformity
from featurelens.assess.spectrum import alpha_req, rankme, singular_values
from featurelens.assess.transferability import logme


def with_spectrum(values, n=400, seed=0):
    """Centred rows whose singular values are exactly `values`."""
    random = np.random.default_rng(seed)
    start = random.standard_normal((n, len(values)))
    left = np.linalg.qr(start - start.mean(axis=0))[0]
    right = np.linalg.qr(random.standard_normal((len(values), len(values))))[0]
    return left * values @ right


def test_rankme_of_a_flat_spectrum_is_the_dimension():
    assert rankme(with_spectrum(np.ones(16))).value == pytest.approx(16, rel=1e-4)


def test_rankme_of_a_known_spectrum_is_its_entropy():
    values = np.array([8.0, 4.0, 2.0, 1.0, 1.0])
    share = values / values.sum() + 1e-7
    assert rankme(with_spectrum(values)).value == pytest.approx(
        np.exp(-(share * np.log(share)).sum()), abs=1e-8
    )
    assert rankme(with_spectrum(np.array([1.0, 0, 0, 0]))).value == pytest.approx(1, abs=1e-4)


def test_float32_rounding_would_be_seen():
    values = 0.5 ** np.arange(30)
    share = values / values.sum() + 1e-7
    exact = np.exp(-(share * np.log(share)).sum())
    assert rankme(with_spectrum(values)).value == pytest.approx(exact, abs=1e-8)
    assert abs(rankme(with_spectrum(values).astype(np.float16)).value - exact) > 1e-5


def test_singular_values_of_a_long_table_come_out_of_the_blocks_unchanged():
    rows = with_spectrum(10.0 ** -np.arange(8), n=300_000)
    assert singular_values(rows) == pytest.approx(10.0 ** -np.arange(8), rel=1e-8)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), scale=st.floats(0.01, 100))
def test_rotation_scale_and_order_change_nothing(seed, scale):
    random = np.random.default_rng(seed)
    rows = random.standard_normal((80, 12)) * np.linspace(0.2, 2, 12) + 0.3
    rotation = np.linalg.qr(random.standard_normal((12, 12)))[0]
    moved = (rows @ rotation * scale)[random.permutation(80)]
    for measure in (rankme, alpha_req, uniformity, intrinsic_dimension, hubness):
        assert measure(moved).value == pytest.approx(measure(rows).value, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("alpha", [0.5, 1.0, 2.0])
def test_alpha_of_a_power_law_is_its_exponent(alpha):
    rows = with_spectrum(np.arange(1, 121) ** (-alpha / 2), n=500)
    result = alpha_req(rows)
    assert result.value == pytest.approx(alpha, abs=1e-8)
    assert result.interval == pytest.approx((alpha, alpha), abs=1e-6)


def test_alpha_is_the_weighted_fit_of_numpy():
    rows = np.random.default_rng(0).standard_normal((300, 60)) * np.linspace(0.1, 1, 60)
    eigenvalues = np.sort(np.linalg.eigvalsh(np.cov(rows.T)))[::-1][3:100]
    rank = np.arange(4, 61)
    slope = np.polyfit(np.log(rank), np.log(eigenvalues), 1, w=np.sqrt(1 / rank))[0]
    assert alpha_req(rows).value == pytest.approx(-slope, abs=1e-8)
    assert not alpha_req(rows[:, :6]).defined


def test_uniformity_and_alignment_equal_the_mean_over_pairs():
    random = np.random.default_rng(0)
    rows = random.standard_normal((90, 7))
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    assert uniformity(rows).value == pytest.approx(np.log(np.exp(-2 * pdist(unit) ** 2).mean()), abs=1e-8)
    labels = random.integers(4, size=90)
    pairs = np.concatenate([pdist(unit[labels == c]) ** 2 for c in range(4)])
    assert alignment(rows, labels).value == pytest.approx(pairs.mean(), abs=1e-8)
    assert alignment(rows, labels).chance == pytest.approx((pdist(unit) ** 2).mean(), abs=1e-8)
    assert not alignment(rows[:3], ["a", "b", "c"]).defined


def test_uniformity_of_collapsed_features_is_zero():
    assert uniformity(np.tile([[0.6, 0.8]], (30, 1))).value == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("dimension", [2, 5])
def test_the_dimension_of_a_cube_in_a_larger_space_is_found(dimension):
    random = np.random.default_rng(0)
    cube = random.uniform(-0.05, 0.05, (3000, dimension))
    rows = (
        np.hstack([np.ones((3000, 1)), cube]) @ np.linalg.qr(random.standard_normal((32, dimension + 1)))[0].T
    )
    result = intrinsic_dimension(rows)
    assert result.interval is not None
    assert result.value == pytest.approx(dimension, rel=0.08)
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    distance = NearestNeighbors(n_neighbors=3).fit(unit).kneighbors(unit)[0]
    assert result.value == pytest.approx(2999 / np.log(distance[:, 2] / distance[:, 1]).sum(), rel=1e-3)


def test_copies_are_left_out_of_the_dimension():
    rows = np.random.default_rng(0).standard_normal((200, 4))
    result = intrinsic_dimension(np.concatenate([rows, rows[:10]]))
    assert result.detail["copies"] == 20


def test_hubness_is_the_skewness_of_how_often_each_row_is_found():
    rows = np.random.default_rng(0).standard_normal((200, 30))
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    found = NearestNeighbors(n_neighbors=10).fit(unit).kneighbors(return_distance=False)
    counts = np.bincount(found.ravel(), minlength=200)
    result = hubness(rows)
    assert result.value == pytest.approx(skew(counts), abs=1e-8)
    assert result.detail["hubs"][0]["found_by"] == counts.max()
    assert hubness(np.hstack([rows, np.full((200, 1), 3.0)])).value != pytest.approx(result.value, abs=1e-3)
    assert not hubness(rows[:10]).defined


def test_too_little_to_measure_is_undefined():
    assert "two images" in str(alpha_req(np.zeros((0, 4))))
    assert "all features are zero" in str(logme(np.zeros((9, 4)), np.arange(9) % 3))
