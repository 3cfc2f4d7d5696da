"""Silhouette, class distances and retrieval, against scikit-learn, pytorch-metric-learning and by hand."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score
from sklearn.metrics import silhouette_samples as sklearn_silhouette
from sklearn.metrics.pairwise import cosine_distances, euclidean_distances
from sklearn.neighbors import NearestNeighbors

from featurelens.assess.arrays import unit
from featurelens.assess.copies import copies
from featurelens.assess.distances import class_distances
from featurelens.assess.neighbours import nearest
from featurelens.assess.retrieval import retrieval
from featurelens.assess.silhouette import silhouette
from featurelens.errors import InvalidInput


def clustered(n=300, d=24, classes=6, noise=1.0, seed=0):
    random = np.random.default_rng(seed)
    labels = random.integers(classes, size=n)
    return random.standard_normal((classes, d))[labels] + noise * random.standard_normal((n, d)), labels


@pytest.mark.parametrize(("metric", "tolerance"), [("cosine", 1e-10), ("euclidean", 1e-6)])
@pytest.mark.parametrize("noise", [0.001, 1.0, 5.0])
def test_silhouette_equals_scikit_learn(metric, tolerance, noise):
    features, labels = clustered(n=2500, noise=noise)
    features[0], features[2] = 0, features[1]  # a zero row and twins
    ours = silhouette(features, labels, metric=metric).per_item
    assert np.abs(ours - sklearn_silhouette(features, labels, metric=metric)).max() <= tolerance


def test_silhouette_of_float32_features_equals_scikit_learn_on_the_same_numbers():
    features, labels = clustered(n=1500, d=300, classes=200)
    features = features.astype(np.float32) + np.float32(30)
    for metric, tolerance in (("cosine", 1e-10), ("euclidean", 1e-6)):
        expected = sklearn_silhouette(features.astype(float), labels, metric=metric)
        assert np.abs(silhouette(features, labels, metric=metric).per_item - expected).max() <= tolerance


def test_an_image_alone_in_its_class_counts_zero_and_unlabelled_ones_take_no_part():
    features, labels = clustered(n=40)
    labels = [*map(str, labels[:-2]), "single", None]
    result = silhouette(features, labels)
    assert result.per_item is not None
    assert result.per_item[-2] == 0
    assert np.isnan(result.per_item[-1])
    assert result.detail["unlabelled"] == 1
    assert result.value == pytest.approx(
        sklearn_silhouette(features[:-1], labels[:-1], metric="cosine").mean()
    )


@pytest.mark.parametrize("labels", [["a"] * 5, list("abcde"), [None] * 5])
def test_silhouette_is_undefined_where_scikit_learn_refuses(labels):
    result = silhouette(np.eye(5), labels)
    assert not result.defined
    assert "classes" in str(result.undefined)
    assert result.to_json()["value"] is None


def test_a_wrong_label_is_seen_by_the_comparison():
    features, labels = clustered(n=100)
    wrong = labels.copy()
    wrong[0] = (wrong[0] + 1) % 6
    shift = silhouette(features, wrong).per_item - sklearn_silhouette(features, labels, metric="cosine")
    assert np.abs(shift).max() > 1e-3


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10_000), scale=st.floats(0.01, 100))
def test_rotation_scale_order_and_class_names_change_nothing(seed, scale):
    features, labels = clustered(n=60, d=8, classes=4, seed=seed)
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    assume(np.diff(np.sort(unit @ unit.T)).min() > 1e-6)  # in float32 those as near would change places
    random = np.random.default_rng(seed)
    rotation = np.linalg.qr(random.standard_normal((8, 8)))[0]
    order = random.permutation(60)
    moved = (features @ rotation * scale)[order]
    renamed = np.array(["zebra", "ant", "ox", "bee"])[labels][order]
    for measure in (
        lambda f, y: silhouette(f, y).value,
        lambda f, y: silhouette(f, y, metric="euclidean").value,
        lambda f, y: class_distances(f, y).value,
        lambda f, y: [found.value for found in retrieval(f, y, ks=(5,)).values()],
    ):
        assert measure(moved, renamed) == pytest.approx(measure(features, labels), abs=1e-6)


def test_distances_equal_the_mean_over_all_pairs():
    features, labels = clustered(n=80)
    distance = cosine_distances(features)
    same = labels[:, None] == labels
    pair = ~np.eye(80, dtype=bool)
    result = class_distances(features, labels)
    assert result.detail["intra"] == pytest.approx(distance[same & pair].mean(), abs=1e-10)
    assert result.detail["inter"] == pytest.approx(distance[~same].mean(), abs=1e-10)
    assert result.interval is not None
    assert result.interval[0] < result.value < result.interval[1]
    third = result.detail["per_class"]["3"]
    assert third["intra"] == pytest.approx(distance[(labels == 3)[:, None] & same & pair].mean(), abs=1e-10)
    assert third["inter"] == pytest.approx(distance[(labels == 3)[:, None] & ~same].mean(), abs=1e-10)


def test_average_precision_equals_scikit_learn_also_with_ties():
    features, labels = clustered(n=120)
    features[10:20] = features[0]
    similarity = 1 - cosine_distances(features.astype(np.float32))
    features = features.astype(np.float32)
    expected = [
        average_precision_score(np.delete(labels == labels[i], i), np.delete(np.round(similarity[i], 6), i))
        for i in range(120)
    ]
    assert retrieval(features, labels)["mAP"].value == pytest.approx(np.mean(expected), abs=2e-3)
    distinct = np.setdiff1d(np.arange(120), np.arange(10, 20))
    pure = retrieval(features[distinct], labels[distinct])["mAP"].per_item
    for place, i in enumerate(distinct):
        others = distinct[distinct != i]
        row = features[others].astype(float) @ features[i] / np.linalg.norm(features[others], axis=1)
        assert pure[place] == pytest.approx(
            average_precision_score(labels[others] == labels[i], row), abs=1e-8
        )


@pytest.mark.parametrize("scatter", [1e-2, 3e-4, 2e-5])
def test_features_that_hardly_differ_are_told_apart_as_scikit_learn_does(scatter):
    """Their cosines are so near 1 that float32 would give most pairs the same."""
    shape, labels = clustered(n=150)
    features = (1 + scatter * shape).astype(np.float32)
    found = retrieval(features, labels)
    rows = unit(features)
    apart = euclidean_distances(rows - rows.mean(axis=0))
    others = ~np.eye(150, dtype=bool)
    expected = [
        average_precision_score((labels == labels[i])[others[i]], -apart[i][others[i]]) for i in range(150)
    ]
    assert found["mAP"].per_item == pytest.approx(expected, abs=2e-3)
    nearest_ones = NearestNeighbors(n_neighbors=20).fit(rows - rows.mean(axis=0)).kneighbors()[1]
    assert np.mean(nearest(features, k=20)[0] == nearest_ones) > 0.995
    assert found["precision@1"].value == np.mean(labels[nearest_ones[:, 0]] == labels)


def test_copies_among_features_that_hardly_differ_are_only_the_copies():
    shape, _ = clustered(n=80)
    features = (1 + 3e-4 * shape).astype(np.float32)
    features[70] = features[3]
    assert [(pair.a, pair.b) for pair in copies(features)] == [(3, 70)]


def test_each_measure_of_retrieval_says_how_its_interval_was_made():
    features, labels = clustered(n=60)
    found = retrieval(features, labels, ks=(1, 5))
    assert found["precision@1"].protocol.endswith("is a result too (half-samples)")
    assert found["precision@5"].protocol.endswith("is a result too (grouped jackknife)")


@pytest.mark.filterwarnings("ignore")
def test_precisions_equal_pytorch_metric_learning():
    torch = pytest.importorskip("torch")
    calculator = pytest.importorskip("pytorch_metric_learning.utils.accuracy_calculator")
    features, labels = clustered(n=250)
    unit = (features / np.linalg.norm(features, axis=1, keepdims=True)).astype(np.float32)
    theirs = calculator.AccuracyCalculator(
        include=("precision_at_1", "r_precision", "mean_average_precision_at_r"), k="max_bin_count"
    ).get_accuracy(torch.tensor(unit), torch.tensor(labels))
    ours = retrieval(unit, labels)
    assert ours["precision@1"].value == pytest.approx(theirs["precision_at_1"], abs=1e-8)
    assert ours["R-precision"].value == pytest.approx(theirs["r_precision"], abs=1e-8)
    assert ours["mAP@R"].value == pytest.approx(theirs["mean_average_precision_at_r"], abs=1e-8)


def test_shuffled_labels_fall_to_the_stated_chance():
    features, labels = clustered(n=250)
    random = np.random.default_rng(1)
    real = retrieval(features, labels)
    runs = [retrieval(features, random.permutation(labels)) for _ in range(20)]
    for name in ("mAP", "mAP@R", "R-precision", "precision@1", "precision@10"):
        values = [run[name].value for run in runs]
        spread = 4 * np.std(values) / np.sqrt(len(values))
        assert runs[0][name].chance == pytest.approx(np.mean(values), abs=spread)
        assert real[name].value > runs[0][name].chance + 0.1


def test_more_noise_lowers_every_quality():
    steps = [clustered(n=300, noise=noise) for noise in (0.3, 1.0, 2.0, 4.0)]
    for measure in (
        lambda f, y: silhouette(f, y).value,
        lambda f, y: silhouette(f, y, metric="euclidean").value,
        lambda f, y: -class_distances(f, y).value,
        lambda f, y: retrieval(f, y)["mAP"].value,
        lambda f, y: retrieval(f, y)["R-precision"].value,
    ):
        values = [measure(*step) for step in steps]
        assert values == sorted(values, reverse=True)
        assert values[0] > values[-1]


def test_retrieval_in_small_blocks_is_the_same(monkeypatch):
    features, labels = clustered(n=120)
    whole = retrieval(features, labels)
    for module in (sys.modules[f"featurelens.assess.{name}"] for name in ("retrieval", "neighbours")):
        monkeypatch.setattr(
            module, "blocks", lambda n, *_, **__: (slice(i, min(n, i + 7)) for i in range(0, n, 7))
        )
    parts = retrieval(features, labels)
    for name, measure in whole.items():
        assert np.array_equal(parts[name].per_item, measure.per_item), name


def test_retrieval_without_a_second_image_of_any_class_is_undefined():
    assert not retrieval(np.eye(3), ["a", "b", "c"])["mAP"].defined
    tiny = retrieval(np.eye(3), ["a", "a", "b"])
    assert not tiny["precision@5"].defined
    assert tiny["precision@1"].n == 2


def test_retrieval_can_be_asked_for_no_precision():
    features, labels = clustered(n=60)
    found = retrieval(features, labels, ks=())
    assert list(found) == ["mAP", "mAP@R", "R-precision"]
    assert found["mAP"].value == retrieval(features, labels)["mAP"].value


def test_wrong_input_says_what_to_do():
    with pytest.raises(InvalidInput, match="one label per row"):
        silhouette(np.eye(3), ["a", "b"])
    with pytest.raises(InvalidInput, match="row 1"):
        silhouette(np.array([[1.0], [np.nan], [2.0]]), ["a", "a", "b"])


WRONG = """
import numpy as np
from featurelens.assess import coral_distance, rankme, silhouette
for call in (
    lambda: silhouette(np.eye(3), np.zeros((3, 1), int)),
    lambda: silhouette(np.eye(3), np.array([["a"], ["a"], ["b"]])),
    lambda: rankme([[1.0]]),
    lambda: rankme(np.ones(4)),
    lambda: coral_distance(np.ones(4), np.eye(4)),
):
    try:
        call()
    except Exception as error:
        print(type(error).__name__, error)
"""


def test_what_is_no_table_is_refused_in_words():
    """In a process of its own: here the shapes are checked before a function sees them."""
    told = subprocess.run([sys.executable, "-c", WRONG], capture_output=True, text=True, check=True)
    assert told.stdout.splitlines() == [
        "InvalidInput labels must be one name or number per row, not an array [3, 1].",
        "InvalidInput labels must be one name or number per row, not an array [3, 1].",
        "InvalidInput features must be a NumPy array [rows, dimensions], not list.",
        "InvalidInput features must be a float array [rows, dimensions], not float64 [4].",
        "InvalidInput x must be a float array [rows, dimensions], not float64 [4].",
    ]


def test_a_label_of_pandas_that_is_missing_takes_no_part():
    pandas = pytest.importorskip("pandas")
    features, labels = clustered(n=40)
    given = [pandas.NA] * 10 + labels[10:].tolist()
    expected = silhouette(features, [None] * 10 + labels[10:].tolist())
    assert silhouette(features, given).value == expected.value


def test_no_results_are_no_precision_and_tiny_rows_have_a_direction():
    rows = np.array([[3.0, 4.0], [4.0, 3.0], [0.0, 1.0]], np.float32)
    with pytest.raises(InvalidInput, match=r"ks=\(0,\): each k"):
        retrieval(rows, ["a", "a", "b"], ks=(0,))
    tiny = rows * np.float32(1e-25)  # squares are zero in float32
    np.testing.assert_allclose(unit(tiny, np.float32), unit(rows, np.float32), rtol=1e-6)
