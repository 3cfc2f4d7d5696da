"""Linear CKA, neighbour agreement and LogME against their definitions."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.stats import multivariate_normal
from sklearn.neighbors import NearestNeighbors

from featurelens.assess.agreement import linear_cka, neighbour_agreement
from featurelens.assess.transferability import logme
from featurelens.errors import InvalidInput


def tables(n=120, d1=10, d2=14, seed=0):
    random = np.random.default_rng(seed)
    x = random.standard_normal((n, d1))
    return x, np.hstack([x[:, :4], random.standard_normal((n, d2 - 4))]) + 0.5


def kernel_cka(x, y):
    """The definition, through n x n kernels and the centring matrix."""
    centring = np.eye(len(x)) - 1 / len(x)
    k, m = centring @ x @ x.T @ centring, centring @ y @ y.T @ centring
    return (k * m).sum() / np.sqrt((k * k).sum() * (m * m).sum())


@pytest.mark.parametrize(("n", "d2"), [(120, 14), (20, 40)])
def test_cka_equals_its_definition_in_both_forms(n, d2):
    x, y = tables(n=n, d2=d2)
    assert linear_cka(x, y).value == pytest.approx(kernel_cka(x, y), abs=1e-10)


def test_debiased_cka_equals_the_unbiased_estimator():
    x, y = tables(n=40)
    n, one = 40, np.ones(40)

    def hsic(k, m):
        k, m = k - np.diag(np.diag(k)), m - np.diag(np.diag(m))
        last = one @ k @ one * (one @ m @ one) / ((n - 1) * (n - 2))
        return (np.trace(k @ m) + last - 2 / (n - 2) * (one @ k @ m @ one)) / (n * (n - 3))

    k, m = x @ x.T, y @ y.T
    expected = hsic(k, m) / np.sqrt(hsic(k, k) * hsic(m, m))
    assert linear_cka(x, y, debiased=True).value == pytest.approx(expected, abs=1e-10)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1000), scale=st.floats(0.01, 100), shift=st.floats(-5, 5))
def test_cka_ignores_rotation_scale_and_shift_but_not_other_linear_maps(seed, scale, shift):
    x, y = tables(seed=seed)
    random = np.random.default_rng(seed)
    rotation = np.linalg.qr(random.standard_normal((14, 14)))[0]
    assert linear_cka(x, y @ rotation * scale + shift).value == pytest.approx(
        linear_cka(x, y).value, abs=1e-8
    )
    assert linear_cka(x, x @ np.diag(10.0 ** -np.arange(10))).value < 0.9


def test_the_interval_through_gram_matrices_is_that_of_the_definition(monkeypatch):
    x, y = tables(n=60)
    quick = linear_cka(x, y, interval=True)
    assert quick.interval[0] < quick.value < quick.interval[1]
    monkeypatch.setattr(sys.modules["featurelens.assess.agreement"], "GRAM_ROWS", 0)
    assert linear_cka(x, y, interval=True).interval == pytest.approx(quick.interval, abs=1e-9)


def test_cka_of_shuffled_images_is_the_stated_chance():
    x, y = tables(n=60)
    random = np.random.default_rng(0)
    values = [linear_cka(x, y[random.permutation(60)]).value for _ in range(300)]
    assert linear_cka(x, y).chance == pytest.approx(np.mean(values), rel=0.03)


def test_cka_without_variation_is_undefined_and_lengths_must_match():
    x, y = tables()
    assert not linear_cka(x, np.ones((120, 3))).defined
    with pytest.raises(InvalidInput, match="120 and 119"):
        linear_cka(x, y[1:])


def test_neighbour_agreement_counts_common_neighbours():
    x, y = tables()

    def found(rows):
        unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        return NearestNeighbors(n_neighbors=10).fit(unit).kneighbors(return_distance=False)

    expected = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(found(x), found(y), strict=True)])
    result = neighbour_agreement(x, y)
    assert result.value == pytest.approx(expected, abs=1e-12)
    assert neighbour_agreement(x, x * 2).value == 1
    random = np.random.default_rng(0)
    shuffled = [neighbour_agreement(x, y[random.permutation(120)]).value for _ in range(30)]
    assert np.mean(shuffled) == pytest.approx(result.chance, abs=0.01)


def published_logme(features, labels):
    """The authors' fixed point (You et al. 2021, algorithm 1), one class after another."""
    n, d = features.shape
    u, s, _ = np.linalg.svd(features, full_matrices=False)
    evidences = []
    for c in range(labels.max() + 1):
        y = (labels == c).astype(float)
        x = u.T @ y
        outside = y @ y - x @ x
        alpha = beta = 1.0
        for _ in range(2000):
            t = alpha / beta
            gamma = (s**2 / (s**2 + t)).sum()
            m2 = (s**2 * x**2 / (t + s**2) ** 2).sum()
            res2 = (x**2 / (1 + s**2 / t) ** 2).sum() + outside
            alpha, beta = gamma / m2, (n - gamma) / res2
        evidence = d / 2 * np.log(alpha) + n / 2 * np.log(beta) - np.log(alpha + beta * s**2).sum() / 2
        evidences.append((evidence - beta / 2 * res2 - alpha / 2 * m2 - n / 2 * np.log(2 * np.pi)) / n)
    return np.mean(evidences)


def test_logme_equals_the_published_formula():
    random = np.random.default_rng(1)
    labels = random.integers(4, size=150)
    features = random.standard_normal((150, 12)) + 1.5 * np.eye(4, 12)[labels]
    assert logme(features, labels).value == pytest.approx(published_logme(features, labels), abs=1e-8)
    assert logme(features[::-1], labels).value != pytest.approx(published_logme(features, labels), abs=1e-3)


@pytest.mark.parametrize("d", [6, 60])
def test_logme_is_the_largest_log_evidence(d):
    """The same number from the n x n covariance of the labels, maximised by a general optimiser."""
    random = np.random.default_rng(0)
    labels = random.integers(3, size=40)
    features = random.standard_normal((40, d)) + 2 * np.eye(3, d)[labels]

    def largest(target):
        def loss(logs):
            covariance = np.exp(-logs[0]) * features @ features.T + np.exp(-logs[1]) * np.eye(40)
            return -multivariate_normal(np.zeros(40), covariance, allow_singular=False).logpdf(target)

        starts = [(0.0, 1.0), (2.0, 2.0), (4.0, 1.0)]
        return max(-minimize(loss, start, method="Nelder-Mead", tol=1e-9).fun for start in starts) / 40

    expected = np.mean([largest((labels == c).astype(float)) for c in range(3)])
    result = logme(features, labels)
    assert result.value == pytest.approx(expected, abs=1e-5)
    assert result.value > result.chance
    assert "hint" in result.protocol
    wrong = logme(features, random.permutation(labels))
    assert wrong.value < result.value - 0.1


def test_logme_ignores_rotation_and_class_names():
    random = np.random.default_rng(1)
    labels = random.integers(3, size=50)
    features = random.standard_normal((50, 8)) + np.eye(3, 8)[labels]
    rotation = np.linalg.qr(random.standard_normal((8, 8)))[0]
    renamed = np.array(["z", "a", "m"])[labels]
    assert logme(features @ rotation, renamed).value == pytest.approx(logme(features, labels).value, abs=1e-8)
    assert not logme(features, ["a"] * 50).defined
