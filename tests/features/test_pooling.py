"""Pooling against plain loops, for numpy and torch alike."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from featurelens.errors import InvalidInput
from featurelens.features.pooling import check_size, pool
from oracles.pooled import pooled

MAPS = hnp.arrays(
    np.float32,
    hnp.array_shapes(min_dims=4, max_dims=4, max_side=4),
    elements=st.floats(-100, 100, width=32),
)


@settings(max_examples=60, deadline=None)
@given(maps=MAPS, how=st.sampled_from(["avg", "max", "gem", "flatten"]))
def test_pooling_equals_the_plain_loops(maps, how):
    np.testing.assert_allclose(pool(maps, how), pooled(maps, how), rtol=2e-5, atol=2e-5)


def test_the_twin_can_tell_gem_from_avg():
    maps = np.arange(8, dtype=np.float32).reshape(1, 2, 2, 2)
    assert not np.allclose(pool(maps, "avg"), pooled(maps, "gem"), rtol=2e-5)


@pytest.mark.parametrize("how", ["avg", "max", "gem", "flatten", "cls"])
@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (2, 7, 3), (2, 6)])
def test_torch_and_numpy_agree(how, shape):
    torch = pytest.importorskip("torch")
    values = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    if how == "cls" and len(shape) == 4:
        with pytest.raises(InvalidInput, match="takes the first token"):
            pool(torch.from_numpy(values), how)
        return
    np.testing.assert_allclose(pool(torch.from_numpy(values), how), pool(values, how), rtol=1e-5, atol=1e-6)


def test_tokens_are_pooled_over_positions_and_cls_is_the_first():
    tokens = np.arange(12, dtype=np.float32).reshape(1, 4, 3)
    np.testing.assert_array_equal(pool(tokens, "cls"), [[0, 1, 2]])
    np.testing.assert_array_equal(pool(tokens, "max"), [[9, 10, 11]])


def test_gem_of_large_activations_does_not_overflow():
    maps = np.full((1, 1, 2, 2), 3e13, np.float32)
    np.testing.assert_allclose(pool(maps, "gem"), [[3e13]], rtol=1e-5)


def test_unknown_poolings_and_shapes_say_what_is_known():
    with pytest.raises(InvalidInput, match="Known: avg, max, gem, cls, flatten"):
        pool(np.zeros((1, 2), np.float32), "mean")
    with pytest.raises(InvalidInput, match="Cannot pool"):
        pool(np.zeros(3, np.float32))


def test_too_much_memory_is_refused_with_the_estimate():
    check_size(1000, 1000, 4_000_000, "fits")
    with pytest.raises(InvalidInput, match=r"100,352 numbers per image: 50,000 images need 18\.7 GiB"):
        check_size(50_000, 100_352, 4 << 30, "layer4")
