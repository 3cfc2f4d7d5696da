"""The affine map found between two pictures is the one by which scipy made one from the other."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from featurelens.search.affine import Affine, agreement, fitted

SHAPE = (48, 60)
MATRIX = np.array([[0.93, 0.06], [-0.04, 1.05]])
SHIFT = np.array([40.3, 45.6])


@pytest.fixture(scope="module")
def target():
    noise = np.random.default_rng(0).normal(size=(80, 90))
    return ndimage.gaussian_filter(noise, 3.0).astype(np.float32) * 10


@pytest.fixture(scope="module")
def template(target):
    """A part of the target, turned and scaled by scipy, in other light."""
    offset = SHIFT - MATRIX @ (np.array(SHAPE) - 1) / 2
    return 1.7 * ndimage.affine_transform(target, MATRIX, offset, SHAPE, order=1)


def test_the_map_is_found_from_a_guess_nearby(target, template):
    found = fitted(template, target, Affine(np.eye(2), SHIFT + np.array([1.0, -1.0])), steps=12)
    assert found is not None
    np.testing.assert_allclose(found.matrix, MATRIX, atol=2e-3)
    np.testing.assert_allclose(found.shift, SHIFT, atol=0.05)


def test_sabotage_one_step_is_not_enough(target, template):
    found = fitted(template, target, Affine(np.eye(2), SHIFT + np.array([1.0, -1.0])), steps=1)
    assert found is not None
    assert np.abs(found.matrix - MATRIX).max() > 2e-3


def test_the_agreement_is_the_mean_correlation_of_the_blocks_weighted_by_detail(target):
    random = np.random.default_rng(1)
    template = random.normal(size=(40, 50)).astype(np.float32)
    place = Affine(np.eye(2), np.array([30.5, 40.5]))  # of the middle: rows 11 to 50, columns 16 to 65
    there = target[11:51, 16:66]
    total = weight = 0.0
    for rows in np.array_split(np.arange(40), 5):
        for cols in np.array_split(np.arange(50), 5):
            one, other = (of[np.ix_(rows, cols)].ravel() for of in (template, there))
            stronger = max(one.var(), other.var()) * len(one)
            total += stronger * np.corrcoef(one, other)[0, 1]
            weight += stronger
    found = agreement(template, target, place)
    assert found == pytest.approx(total / weight, abs=1e-5)


def test_a_picture_agrees_with_itself_and_not_where_a_fifth_lies_outside(target):
    whole = Affine(np.eye(2), (np.array(target.shape) - 1) / 2)
    assert agreement(target, target, whole) == pytest.approx(1, abs=1e-5)
    assert agreement(target, target, Affine(np.eye(2), whole.shift + np.array([20.0, 0.0]))) is None
    assert fitted(target, target, Affine(np.eye(2), whole.shift + np.array([45.0, 0.0])), steps=12) is None
