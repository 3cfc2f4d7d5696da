"""Where every image asks and is found, intervals are wider; by how much is known for simple statistics."""

from __future__ import annotations

import numpy as np
import pytest

from featurelens.assess.both_roles import spreads, wide_interval
from featurelens.assess.interval import mean_interval
from featurelens.assess.result import Measure
from featurelens.assess.significance import paired

X = np.random.default_rng(0).standard_normal(600)
CODES = np.arange(600) % 3


def test_the_factor_is_two_for_a_mean_over_pairs_and_one_for_values_of_their_own():
    """x_i + x_j over all pairs is twice the mean of x, but its values per asker vary only as x does."""

    def values(kept):
        x = X[kept]
        return {"alone": x, "pairs": x + x.mean(), "the same": np.ones(len(kept))}

    found = [spreads(values, CODES, seed=seed) for seed in range(8)]
    assert np.mean([one["pairs"] for one in found]) == pytest.approx(2, abs=0.2)
    assert np.mean([one["alone"] for one in found]) == pytest.approx(1, abs=0.15)
    assert all(one["the same"] == 1 for one in found)


def test_large_sets_are_judged_by_whole_classes_and_tiny_ones_not_at_all():
    seen = []
    codes = np.arange(6000) % 12

    def values(kept):
        seen.append(kept)
        return {"v": np.asarray(kept, float)}

    spreads(values, codes)
    assert 1000 <= len(seen[0]) <= 1500
    assert {int((codes[seen[0]] == code).sum()) for code in np.unique(codes[seen[0]])} == {500}
    assert spreads(values, np.zeros(5, np.int64)) == {"v": 1.0}


def test_the_interval_is_widened_around_the_mean_and_stays_within_its_limits():
    low, high = mean_interval(X)
    wide = wide_interval(X, 2.0, limits=(-9, 9))
    mean = X.mean()
    assert wide == pytest.approx((mean - 2 * (mean - low), mean + 2 * (high - mean)))
    assert wide_interval(np.array([0.9, 1.0, 1.0]), 2.5)[1] == 1.0


def test_a_paired_test_knows_of_it_too():
    a = Measure("mAP", 0.0, 600, "", per_item=X + 0.1)
    b = Measure("mAP", 0.0, 600, "", per_item=np.random.default_rng(1).permutation(X))
    wide = Measure("mAP", 0.0, 600, "", per_item=X + 0.1, detail={"spread": 2.0})
    plain, careful = paired(a, b), paired(wide, b)
    assert careful.p > plain.p
    assert careful.interval[1] - careful.interval[0] == pytest.approx(
        2 * (plain.interval[1] - plain.interval[0])
    )
