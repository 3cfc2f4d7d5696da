"""Clusters that were planted are found; the components equal scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.metrics import adjusted_rand_score

from featurelens.assess.clusters import clusters, explained, principal_components


def planted(noise=0.1):
    random = np.random.default_rng(0)
    labels = np.repeat(np.arange(4), 30)
    return random.standard_normal((4, 16))[labels] + noise * random.standard_normal((120, 16)), labels


def test_planted_clusters_are_found():
    features, labels = planted()
    measure, groups = clusters(features, labels)
    assert measure.value == 4
    assert [len(g.rows) > 20 for g in groups] == [True] * 4
    assert measure.detail["purity"] == 1
    found = np.full(120, -1)
    for number, group in enumerate(groups):
        found[list(group.rows)] = number
    assert adjusted_rand_score(labels[found >= 0], found[found >= 0]) == 1


def test_noise_has_no_pure_clusters_and_few_images_are_undefined():
    random = np.random.default_rng(0)
    labels = random.integers(4, size=120)
    measure, _ = clusters(random.standard_normal((120, 16)), labels)
    assert measure.detail["outside"] > 0.5
    assert not clusters(np.eye(5))[0].defined


@pytest.mark.parametrize("n", [120, 10])
def test_components_equal_scikit_learn(n):
    features = planted(noise=1.0)[0][:n]
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    theirs = PCA(3).fit(unit)
    ours = principal_components(features, 3)
    assert np.abs(ours) == pytest.approx(np.abs(theirs.transform(unit)), abs=1e-8)
    assert explained(features)[:3] == pytest.approx(theirs.explained_variance_ratio_, abs=1e-8)
