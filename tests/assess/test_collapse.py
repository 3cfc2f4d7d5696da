"""Rows that are equal up to rounding have no structure: it is said, not measured."""

from __future__ import annotations

import numpy as np
import pytest

from featurelens.assess import (
    alpha_req,
    class_distances,
    clusters,
    copies,
    coral_distance,
    findings,
    hubness,
    intrinsic_dimension,
    linear_cka,
    measure,
    neighbour_agreement,
    rankme,
    stability,
    study,
)
from featurelens.assess.collapse import collapsed, rounding, same_directions
from featurelens.assess.report.advice import cautions
from featurelens.assess.report.words import words
from featurelens.backbone.protocol import Spec
from featurelens.features.table import Features

RANDOM = np.random.default_rng(0)
ONE = RANDOM.standard_normal(64)
NOISE = RANDOM.standard_normal((300, 64))
GOOD = RANDOM.standard_normal((300, 64)).astype(np.float32)
LABELS = [str(i % 3) for i in range(300)]


def scattered(relative: float, dtype: type) -> np.ndarray:
    """The same vector for every image, with noise of a relative size."""
    return (ONE + relative * NOISE).astype(dtype)


@pytest.mark.parametrize(("dtype", "eps"), [(np.float32, 2.0**-23), (np.float16, 2.0**-10)])
def test_noise_of_some_roundings_is_collapse_and_a_hundred_are_not(dtype, eps):
    assert collapsed(scattered(10 * eps, dtype))
    assert collapsed(scattered(10 * eps, dtype).astype(np.float64))  # stored wider, as coarse as before
    assert not collapsed(scattered(100 * eps, dtype))
    assert rounding(scattered(0.1, dtype).astype(np.float64)) == eps


def test_what_is_finer_than_float32_is_structure_in_float64():
    assert not collapsed(scattered(1e-9, np.float64))
    assert collapsed(scattered(1e-15, np.float64))


def test_whole_numbers_are_not_taken_for_half_precision():
    counts = 1000.0 + RANDOM.integers(2, size=(50, 8))
    assert not collapsed(counts)
    assert not collapsed(counts.astype(np.float32))


def test_few_rows_and_rows_of_other_lengths():
    assert not collapsed(np.ones((1, 4)))
    assert collapsed(np.zeros((5, 4), np.float32))
    longer = (np.arange(1, 301)[:, None] * ONE).astype(np.float32)
    assert not collapsed(longer)
    assert same_directions(longer)


MEASURES = {
    "CKA": lambda rows: linear_cka(rows, GOOD),
    "CKA the other way": lambda rows: linear_cka(GOOD, rows),
    "CKA debiased": lambda rows: linear_cka(rows, rows, debiased=True),
    "common neighbours": lambda rows: neighbour_agreement(rows, GOOD),
    "alpha-ReQ": alpha_req,
    "intrinsic dimension": intrinsic_dimension,
    "hubness": hubness,
    "clusters": lambda rows: clusters(rows)[0],
    "class distances": lambda rows: class_distances(rows, LABELS),
    "CORAL": lambda rows: coral_distance(rows, GOOD),
    "drift": lambda rows: stability(rows, GOOD)["drift"],
}


@pytest.mark.parametrize("name", MEASURES)
def test_measures_of_structure_say_collapsed(name):
    found = MEASURES[name](scattered(5e-7, np.float32))
    assert not found.defined
    assert "collapsed" in str(found)
    assert MEASURES[name](scattered(0.1, np.float32)).defined


def test_rankme_is_one_and_its_words_say_collapsed():
    found = rankme(scattered(5e-7, np.float32)[:, :8])
    assert found.value == pytest.approx(1, abs=1e-3)
    assert "Collapsed" in words(found).advice(found)
    good = rankme(GOOD[:, :8])
    assert "Collapsed" not in words(good).advice(good)


def test_a_report_warns_of_the_backbone_that_collapsed():
    ids = tuple(map(str, range(60)))

    def of(rows, name):
        return Features.from_raw(ids, rows[:60], Spec(name, weights="w", dim=64))

    found = study({"dead": of(scattered(5e-7, np.float32), "dead"), "alive": of(GOOD, "alive")})
    said = [text for text in cautions(found) if "collapsed" in text]
    assert len(said) == 1
    assert "dead" in said[0]


def test_collapsed_features_make_no_list_of_copies():
    """Every pair would be one: 300 images make 44,850 rows of a table."""
    rows = scattered(5e-7, np.float32)
    ids = tuple(map(str, range(300)))
    features = Features.from_raw(ids, rows, Spec("dead", weights="w", dim=64))
    assert len(copies(rows)) > 40_000
    assert findings(measure(features)).pairs == ()
