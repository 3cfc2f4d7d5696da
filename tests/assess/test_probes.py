"""kNN and linear probes, splits and intervals, against scikit-learn and statistics' own tables."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest, bootstrap
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

from featurelens.assess.interval import difference_interval, jackknife_interval, mean_interval, share_interval
from featurelens.assess.probe_knn import knn_probe
from featurelens.assess.probe_linear import few_shot, linear_probe
from featurelens.assess.result import Measure
from featurelens.assess.significance import paired
from featurelens.assess.splits import Split, by_folder, by_ratio, in_folds
from featurelens.errors import InvalidInput


def clustered(n=400, d=16, classes=5, noise=1.5, seed=0):
    random = np.random.default_rng(seed)
    labels = random.integers(classes, size=n)
    rows = random.standard_normal((classes, d))[labels] + noise * random.standard_normal((n, d))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True), labels


@pytest.mark.parametrize("k", [1, 10, 100])
def test_knn_votes_equal_scikit_learn_with_the_same_weights(k):
    features, labels = clustered()
    split = by_ratio(labels)[0]
    theirs = KNeighborsClassifier(
        k, algorithm="brute", metric="cosine", weights=lambda distance: np.exp(-distance / 0.07)
    ).fit(features[split.train], labels[split.train])
    expected = theirs.predict(features[split.test])
    result = knn_probe(features, labels, ks=(k,), splits=[split])[k]
    found = [int(result.detail["predicted"][i]) for i in split.test]
    assert found == expected.tolist()
    assert result.value == pytest.approx((expected == labels[split.test]).mean())
    assert result.n == len(split.test)


def test_leave_one_out_never_asks_the_image_itself():
    labels = np.arange(60) % 2
    features = np.random.default_rng(0).standard_normal((60, 40))
    assert knn_probe(features, labels, ks=(1,))[1].value < 0.8


def test_leave_one_out_is_wider_because_images_vote_for_one_another_and_says_so():
    features, labels = clustered()
    alone = knn_probe(features, labels, ks=(5,))[5]
    wider = alone.detail["spread"]
    assert f"{wider:.2f} times as wide because images vote for one another" in alone.protocol
    low, high = mean_interval(alone.per_item)
    assert alone.interval[1] - alone.interval[0] == pytest.approx(wider * (high - low))
    assert wider > 1.05
    apart = knn_probe(features, labels, ks=(5,), splits=by_ratio(labels))[5]
    assert "spread" not in apart.detail
    assert "times as wide" not in apart.protocol


def test_folds_say_that_they_share_teaching_images_and_one_split_does_not():
    features, labels = clustered(n=60)
    assert "folds share teaching images" in linear_probe(features, labels, grid=(1.0,)).protocol
    apart = linear_probe(features, labels, grid=(1.0,), splits=by_ratio(labels))
    assert "share teaching" not in apart.protocol


def test_differences_that_are_all_alike_do_not_claim_certainty():
    doubt = 1.959964**2 / (20 + 1.959964**2)
    assert difference_interval(np.zeros(20)) == pytest.approx((-doubt, doubt))
    assert difference_interval(np.ones(20)) == pytest.approx((1 - 2 * doubt, 1.0))
    gaps = np.r_[np.ones(4), np.zeros(16), np.nan]
    assert difference_interval(gaps) == mean_interval(gaps)
    same = Measure("m", 1.0, 20, "", per_item=np.ones(20))
    assert paired(same, same).interval == pytest.approx((-doubt, doubt))


def test_leave_one_out_that_is_always_right_does_not_claim_certainty():
    found = knn_probe(np.repeat(np.eye(2), 20, axis=0), np.repeat([0, 1], 20), ks=(3,))[3]
    assert found.value == 1.0
    assert found.interval == share_interval(np.ones(40))


def test_more_neighbours_than_images_is_undefined():
    features, labels = clustered(n=50)
    results = knn_probe(features, labels, ks=(10, 200))
    assert results[10].defined
    assert "200" in str(results[200].undefined)
    assert not knn_probe(features, ["one"] * 50, ks=(10,))[10].defined


def test_the_linear_probe_equals_scikit_learn_at_the_chosen_strength():
    features, labels = clustered()
    split = by_ratio(labels)[0]
    result = linear_probe(features, labels, splits=[split])
    mean = features[split.train].mean(axis=0)
    features = (features - mean) / np.sqrt(((features[split.train] - mean) ** 2).sum(axis=1).mean())
    model = LogisticRegression(C=result.detail["c"][0], max_iter=300, tol=1e-3)
    expected = model.fit(features[split.train], labels[split.train]).score(
        features[split.test], labels[split.test]
    )
    assert result.value == pytest.approx(expected, abs=1e-8)
    assert result.detail["confusion"].sum() == len(split.test)
    assert np.diag(result.detail["confusion"]).sum() / len(split.test) == pytest.approx(result.value)


def test_features_that_hardly_differ_between_images_are_probed_as_well():
    features, labels = clustered()
    shifted = 1e-3 * features + np.eye(16)[0]
    assert linear_probe(shifted, labels).value > linear_probe(features, labels).value - 0.05


def test_the_test_rows_take_no_part_in_the_choice():
    features, labels = clustered()
    split = by_ratio(labels)[0]
    other = features.copy()
    other[split.test] = np.random.default_rng(1).standard_normal((len(split.test), 16))
    kept = linear_probe(other, labels, splits=[split]).detail["c"]
    assert kept == linear_probe(features, labels, splits=[split]).detail["c"]


def test_shuffled_labels_fall_to_chance_within_the_interval():
    features, labels = clustered()
    shuffled = np.random.default_rng(3).permutation(labels)
    for measure in (lambda y: knn_probe(features, y, ks=(20,))[20], lambda y: linear_probe(features, y)):
        real, noise = measure(labels), measure(shuffled)
        assert real.interval[0] > real.chance
        assert noise.interval[0] - 0.02 <= noise.chance <= noise.interval[1] + 0.02


@pytest.mark.parametrize("split", [False, True])
def test_where_classes_differ_in_size_noise_does_not_beat_chance(split):
    """A probe that learnt nothing says the commonest class and is right nine times of ten."""
    features = np.random.default_rng(0).standard_normal((500, 16)).astype(np.float32)
    labels = np.repeat([0, 1], [450, 50])
    splits = by_ratio(labels) if split else None
    linear = linear_probe(features, labels, splits=splits)
    near = knn_probe(features, labels, ks=(1, 10), splits=splits)
    assert linear.chance == pytest.approx(0.9, abs=0.01)
    assert near[1].chance == pytest.approx(0.82, abs=0.02)  # a single neighbour is of any image's class
    assert near[1].chance < near[10].chance < 0.91
    few = few_shot(features, labels, shots=(4, 16))
    for found in (linear, *near.values(), *few.values()):
        assert found.interval[0] <= found.chance <= found.interval[1], found


def test_a_learning_curve_rises_and_says_where_it_ends():
    features, labels = clustered(n=200)
    curve = few_shot(features, labels, shots=(1, 4, 16, 1000))
    assert curve[1].value < curve[4].value < curve[16].value
    assert not curve[1000].defined
    easy = few_shot(*clustered(n=120, noise=0.01), shots=(8,))[8]
    theirs = binomtest(easy.n, easy.n).proportion_ci(method="wilson")
    assert (easy.value, *easy.interval) == pytest.approx((1, theirs.low, theirs.high), abs=1e-6)


def test_folds_test_every_labelled_row_once_and_spread_classes():
    codes = np.array([0] * 10 + [1] * 15 + [-1] * 5)
    folds = in_folds(codes)
    assert sorted(np.concatenate([f.test for f in folds]).tolist()) == list(range(25))
    assert all(not set(f.train) & set(f.test) for f in folds)
    assert all((codes[f.test] == 0).sum() == 2 and (codes[f.test] == 1).sum() == 3 for f in folds)
    with pytest.raises(InvalidInput, match="from 2 to 25"):
        in_folds(codes, folds=1)


def test_a_split_by_ratio_takes_its_share_of_every_class():
    split = by_ratio(np.array([0] * 40 + [1] * 8 + [2]))[0]
    assert len(split.test) == 12
    assert 48 in split.train


def test_a_split_by_folder_reads_the_names():
    ids = ["train/cat/1.jpg", "train/dog/2.jpg", "val/cat/3.jpg", "extra/4.jpg"]
    split = by_folder(ids, np.array([0, 1, 0, 1]))[0]
    assert isinstance(split, Split)
    assert (split.train.tolist(), split.test.tolist()) == ([0, 1], [2])
    with pytest.raises(InvalidInput, match="0 under test or val"):
        by_folder(ids[:2], np.array([0, 1]))


def test_the_bootstrap_equals_scipy_and_meets_the_normal_interval():
    values = np.random.default_rng(0).exponential(size=300)
    theirs = bootstrap((values,), np.mean, n_resamples=5000, method="percentile", rng=1).confidence_interval
    assert mean_interval(values) == pytest.approx((theirs.low, theirs.high), abs=0.02)
    large = np.random.default_rng(0).exponential(size=6000)
    theirs = bootstrap((large,), np.mean, n_resamples=2000, method="percentile", rng=1, batch=100)
    assert mean_interval(large) == pytest.approx(tuple(theirs.confidence_interval), abs=0.003)
    assert mean_interval(np.array([1.0])) is None


def test_all_right_is_not_certain():
    theirs = binomtest(30, 30).proportion_ci(method="wilson")
    assert share_interval(np.ones(30)) == pytest.approx((theirs.low, theirs.high), abs=1e-6)
    assert share_interval(np.zeros(30)) == pytest.approx((0, 1 - theirs.low), abs=1e-6)
    mixed = np.tile([0.0, 1.0, np.nan], 30)
    assert share_interval(mixed) == mean_interval(mixed)
    sure, labels = np.eye(2)[np.arange(40) % 2], np.arange(40) % 2
    assert knn_probe(sure, labels, ks=(5,))[5].interval[0] < 0.95


def test_the_jackknife_of_a_mean_is_its_standard_error():
    values = np.random.default_rng(0).standard_normal(2000)
    low, high = jackknife_interval(lambda kept: float(values[kept].mean()), 2000, groups=200)
    assert (high - low) / 2 == pytest.approx(1.96 * values.std() / np.sqrt(2000), rel=0.15)
    assert (low + high) / 2 == pytest.approx(values.mean())
    assert jackknife_interval(lambda kept: 0.0, 30) is None


def test_the_class_that_ends_a_learning_curve_is_named():
    features, labels = clustered(n=60)
    found = few_shot(np.concatenate([features, features[:1]]), [*labels, "odd folder"], shots=(2,))[2]
    assert "'odd folder', the smallest of" in str(found)
    assert "2 it takes" in str(few_shot(features, ["one"] * 60, shots=(2,))[2])
    assert "2 it takes" in str(few_shot(features, [None] * 60, shots=(2,))[2])


def test_classes_of_one_image_have_nothing_to_test_a_learning_curve_on():
    found = few_shot(np.eye(8), list("abcdefgh"), shots=(1,))[1]
    assert "no class has a second image to test on" in str(found)
