"""How much wider intervals of votes must be: known for simple statistics, and measured on sets drawn anew."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from featurelens.assess.both_roles import spreads
from featurelens.assess.half_samples import vote_spreads
from featurelens.assess.neighbours import nearest
from featurelens.assess.probe_knn import knn_probe, vote
from featurelens.assess.retrieval import retrieval
from featurelens.assess.significance import paired

X = np.random.default_rng(0).standard_normal(600)
CODES = np.arange(600) % 3
RUNS = 50


@cache
def runs():
    """kNN of two equally good sets of features, over and over of other images."""
    labels, centres = np.arange(60) % 2, np.random.default_rng(99).standard_normal((2, 16))
    found = []
    for seed in range(RUNS):
        noise = np.random.default_rng(seed).standard_normal((2, 60, 16))
        found.append([knn_probe(centres[labels] + 2.5 * one, labels, ks=(10,))[10] for one in noise])
    return found


def test_the_factor_is_two_for_a_mean_over_pairs_and_one_for_values_of_their_own():
    def values(kept):
        x = X[kept]
        return {"alone": x, "pairs": x + x.mean(), "the same": np.ones(len(kept))}

    found = [vote_spreads(values, CODES, seed=seed) for seed in range(8)]
    assert np.mean([one["pairs"] for one in found]) == pytest.approx(2, abs=0.2)
    assert np.mean([one["alone"] for one in found]) == pytest.approx(1, abs=0.15)
    assert all(one["the same"] == 1 for one in found)


def test_halves_share_no_image_and_hold_half_of_each_class_or_all_of_a_small_one():
    seen = []
    codes = np.repeat([0, 1, 2, 3], [20, 9, 3, 2])

    def values(kept):
        seen.append(kept)
        return {"v": np.asarray(kept, float)}

    vote_spreads(values, codes)
    for one, other in zip(seen[::2], seen[1::2], strict=True):
        assert sorted([*one, *other]) == list(range(34))
        shares = np.bincount(codes[one], minlength=4)
        assert shares[0] == 10
        assert shares[1] in (4, 5)
        assert sorted(shares[2:]) in ([0, 2], [0, 3])


def test_too_few_images_are_not_cut():
    assert vote_spreads(lambda kept: {"v": np.asarray(kept, float)}, np.zeros(15, np.int64)) == {"v": 1.0}


@pytest.mark.slow
def test_the_width_of_leave_one_out_is_that_of_sets_drawn_anew():
    """By halves the standard error is right within a fifth; the bootstrap is too narrow, a jackknife far too wide."""
    first = [pair[0] for pair in runs()]
    true = np.std([one.value for one in first])
    alone = np.mean([one.per_item.std(ddof=1) / np.sqrt(60) for one in first])
    halves = np.mean([one.detail["spread"] for one in first])
    assert alone < 0.85 * true
    assert halves * alone == pytest.approx(true, rel=0.2)
    labels, centres = np.arange(60) % 2, np.random.default_rng(99).standard_normal((2, 16))
    factors = []
    for seed in range(10):
        rows = centres[labels] + 2.5 * np.random.default_rng(seed).standard_normal((60, 16))
        factors.append(spreads(lambda kept, rows=rows: {"v": right(rows[kept], labels[kept])}, labels)["v"])
    assert np.mean(factors) * alone > 1.3 * true


def right(rows, labels):
    found, similarity = nearest(rows, k=10)
    return (vote(labels[found], similarity, 2).argmax(axis=1) == labels).astype(float)


def test_equally_good_sets_are_seldom_called_different_by_leave_one_out():
    """At level .05, and their intervals hold the truth; without the factor more are, and fewer do."""
    truth = np.mean([a.value for a, _ in runs()])

    def told(pairs):
        tests = [paired(a, b) for a, b in pairs]
        return sum(one.significant for one in tests), sum(
            one.interval[0] <= 0 <= one.interval[1] for one in tests
        )

    different, held = told(runs())
    assert different <= 4
    assert held >= 45
    assert sum(a.interval[0] <= truth <= a.interval[1] for a, _ in runs()) >= 44
    bare = [[replace(one, detail={}) for one in pair] for pair in runs()]
    assert told(bare)[0] > different
    assert told(bare)[1] < held


def test_the_first_result_is_a_vote_of_one_and_as_wide():
    labels, centres = np.arange(60) % 2, np.random.default_rng(99).standard_normal((2, 16))
    rows = [centres[labels] + 2.5 * np.random.default_rng(s).standard_normal((60, 16)) for s in range(24)]
    found = [retrieval(one, labels, ks=(1,))["precision@1"] for one in rows]
    assert all("half-samples" in one.protocol for one in found)
    true = np.std([one.value for one in found])
    alone = np.mean([one.per_item.std(ddof=1) / np.sqrt(60) for one in found])
    assert np.mean([one.detail["spread"] for one in found]) * alone == pytest.approx(true, rel=0.3)
