"""The procedural generator: seeded, varied, and its ingredients can be left out one by one."""

from __future__ import annotations

import numpy as np
import pytest

from featurelens.errors import InvalidInput
from featurelens.images.procedural import render

pytest.importorskip("torch")

INGREDIENTS = ("objects", "leaves", "surfaces", "spectra", "networks", "gratings", "cells")
STANDARD = {
    "objects": 55, "leaves": 30, "surfaces": 15, "spectra": 35, "networks": 25, "gratings": 20, "cells": 20,
    "colours": 70, "textures": 55,
}  # fmt: skip


def drawn(mixture: dict[str, int] | None = None, *, seed: int = 3) -> np.ndarray:
    return render(programmes=24, views=2, size=32, seed=seed, mixture=mixture)


def test_the_same_seed_draws_the_same_and_another_one_does_not() -> None:
    np.testing.assert_array_equal(drawn(), drawn())
    assert (drawn() != drawn(seed=4)).mean() > 0.9


def test_the_standard_mixture_is_what_an_empty_one_gives() -> None:
    np.testing.assert_array_equal(drawn({}), drawn())
    np.testing.assert_array_equal(drawn(STANDARD), drawn())


@pytest.mark.parametrize("name", INGREDIENTS)
def test_leaving_out_an_ingredient_changes_what_is_drawn(name: str) -> None:
    found = drawn({name: 0})
    assert found.shape == (48, 32, 32, 3)
    assert found.std() > 20
    assert (found != drawn()).any()


def test_two_views_of_leaves_differ_only_in_light_and_of_objects_in_more() -> None:
    """Leaves are one drawing under two lights, so their outlines agree; an object moves and turns."""

    def likeness(scene: str) -> float:
        others = {name: 0 for name in ("objects", "leaves", "surfaces") if name != scene}
        grey = drawn(others).mean(-1).reshape(24, 2, -1)
        return float(np.median([np.corrcoef(*pair)[0, 1] for pair in grey]))

    assert likeness("leaves") > 0.8
    assert likeness("objects") < 0.5


@pytest.mark.parametrize("name", ["colours", "textures"])
def test_keeping_an_objects_clothes_or_not_changes_the_object_and_nothing_else(name: str) -> None:
    """Only objects change clothes, and only in colour: outline, pose and ground are drawn as before."""
    scene = {"leaves": 0, "surfaces": 0}
    none, every = drawn(scene | {name: 0}), drawn(scene | {name: 100})
    changed = (none != every).any(-1).mean()
    assert 0.02 < changed < 0.7  # the object, not what is around it
    np.testing.assert_array_equal(drawn({"objects": 0, name: 0}), drawn({"objects": 0}))


def test_two_views_of_an_object_are_of_one_colour_where_all_keep_their_colours() -> None:
    def apart(kept: int) -> float:
        middles = drawn({"leaves": 0, "surfaces": 0, "colours": kept})[:, 10:22, 10:22].mean((1, 2))
        first, second = middles.reshape(24, 2, 3).transpose(1, 0, 2)
        return float(np.abs(first - second).mean())

    assert apart(0) > 1.5 * apart(100)


@pytest.mark.parametrize(
    ("mixture", "words"),
    [
        ({"leafs": 3}, "objects, leaves, surfaces, spectra"),
        ({"cells": -1}, "shares of 0 or more"),
        ({"colours": 101}, "percentages of colours and textures"),
        ({"textures": -1}, "percentages of colours and textures"),
        ({"objects": 0, "leaves": 0, "surfaces": 0}, "keep a kind of scene"),
        ({"spectra": 0, "networks": 0, "gratings": 0, "cells": 0}, "a kind of texture"),
    ],
)
def test_an_impossible_mixture_is_refused(mixture: dict[str, int], words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        drawn(mixture)
