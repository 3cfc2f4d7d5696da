"""The agreement of two sets of embeddings, against scikit-learn's neighbours."""

from __future__ import annotations

import numpy as np
import pytest

from featurelens.errors import InvalidInput
from featurelens.export.agreement import agreement

ROWS = np.random.default_rng(0).normal(size=(60, 8)).astype(np.float32)


def test_the_same_rows_agree_in_everything() -> None:
    found = agreement(ROWS, ROWS.copy())
    assert (found.images, found.difference, found.neighbours) == (60, 0.0, 1.0)
    assert found.cosine == pytest.approx(1.0)


def test_shared_neighbours_are_those_of_scikit_learn() -> None:
    from sklearn.neighbors import NearestNeighbors

    other = ROWS + np.random.default_rng(1).normal(scale=0.4, size=ROWS.shape).astype(np.float32)
    near = [
        NearestNeighbors(n_neighbors=6, metric="cosine")
        .fit(rows)
        .kneighbors(rows, return_distance=False)[:, 1:]
        for rows in (ROWS, other)
    ]
    shared = np.mean([len(set(a) & set(b)) / 5 for a, b in zip(*near, strict=True)])
    assert 0.2 < shared < 0.9, "a case that says something"
    assert agreement(ROWS, other).neighbours == pytest.approx(shared)


def test_mixed_up_rows_are_seen() -> None:
    found = agreement(ROWS, ROWS[::-1].copy())
    assert found.neighbours is not None
    assert found.neighbours < 0.3
    assert found.cosine < 0.5


def test_few_images_have_no_share_of_neighbours_and_odd_shapes_are_refused() -> None:
    assert agreement(ROWS[:19], ROWS[:19]).neighbours is None
    with pytest.raises(InvalidInput, match=r"\(60, 8\) and \(59, 8\)"):
        agreement(ROWS, ROWS[:59])
