"""CORAL against skada's. (Its soft neighbourhood density takes one softmax over the whole matrix, which the paper does not.)"""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from featurelens.adapt.domain import recolouring

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    skada = pytest.importorskip("skada", reason="skada is a development dependency")

RANDOM = np.random.default_rng(7)
X = RANDOM.normal(size=(80, 5)) @ RANDOM.normal(size=(5, 5))
Y = RANDOM.normal(size=(80, 5)) * [1, 2, 3, 1, 0.5] + 4  # as many rows: skada divides by n, we by n - 1


def test_recolouring_is_skadas_coral() -> None:
    domain = np.repeat([1, -2], 80)
    both = np.concatenate([X, Y])
    theirs = skada.CORALAdapter(reg=None).fit_transform(both, sample_domain=domain)
    theirs = theirs[0] if isinstance(theirs, tuple) else theirs
    ours = recolouring(X, Y, shrink=0.0)(X) - Y.mean(0)
    assert np.allclose(ours, theirs[:80], atol=2e-3)
    assert not np.allclose(recolouring(Y, X, shrink=0.0)(Y) - X.mean(0), theirs[80:], atol=0.1), "a sabotage"
