"""Parting what belongs together: the groups of comparing all with the first, for far fewer comparisons."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from featurelens.features import Features
from featurelens.search import Gallery, copies, find_duplicates
from featurelens.search.stars import Ties, stars
from fixtures.numpy_backbone import NumpyBackbone


def quadratic(ids: Sequence[int], alike: Callable[[int, int], bool]) -> list[list[int]]:
    """The twin: every first image is compared with all that are left."""
    found, left = [], list(ids)
    while left:
        first, *others = left
        star = [first, *(one for one in others if alike(first, one))]
        found += [star] if len(star) > 1 else []
        left = [one for one in left if one not in star]
    return found


def tied(ids: Sequence[int], pairs: Sequence[tuple[int, int]]) -> Ties:
    ties = Ties(ids)
    for pair in pairs:
        ties.tie(*pair)
    return ties


def as_sets(groups: list[list[int]]) -> list[tuple[int, set[int]]]:
    return [(group[0], set(group)) for group in groups]


@given(
    st.lists(st.integers(0, 4), min_size=1, max_size=30),
    st.randoms(use_true_random=False),
    st.integers(0, 20),
)
def test_copies_and_wrong_pairs_give_the_groups_of_comparing_all(pictures, random, wrong):
    """Image i shows picture pictures[i]; the ties hold each picture's images together, and some join two pictures."""
    ids = list(range(len(pictures)))
    random.shuffle(ids)
    pairs = []
    for picture in set(pictures):
        same = [one for one in ids if pictures[one] == picture]
        pairs += [(random.choice(same[:i]), one) for i, one in enumerate(same) if i]
    pairs += [(random.choice(ids), random.choice(ids)) for _ in range(wrong)]
    random.shuffle(pairs)
    ties = tied(ids, [(a, b) for a, b in pairs if a != b])

    def alike(a: int, b: int) -> bool:
        return pictures[a] == pictures[b]

    assert as_sets(stars(ids, ties, alike, there=set(ids))) == as_sets(quadratic(ids, alike))


def test_a_chain_costs_as_much_for_each_image_whether_long_or_short():
    """Frames of a film: each is alike the next six and tied to the next ten."""

    def asked(length: int) -> float:
        count, ids = 0, list(range(length))

        def alike(a: int, b: int) -> bool:
            nonlocal count
            count += 1
            return abs(a - b) <= 6

        ties = tied(ids, [(a, b) for a in ids for b in range(a + 1, min(a + 11, length))])
        groups = stars(ids, ties, alike, there=set(ids))
        assert groups == quadratic(ids, lambda a, b: abs(a - b) <= 6)
        return count / length

    assert asked(2000) < 1.1 * asked(200) < 10


def test_what_is_gone_or_in_another_group_is_passed_but_a_stranger_only_once():
    ids = list(range(6))
    chain = tied(ids, list(pairwise(ids)))
    everything = lambda a, b: True  # noqa: E731
    assert as_sets(stars(ids, chain, everything, there={0, 1, 3, 5})) == [(0, {0, 1, 3, 5})]
    alike = lambda a, b: (a, b) in {(0, 2), (1, 3), (0, 5)}  # noqa: E731
    assert as_sets(stars(ids, chain, alike, there=set(ids))) == [(0, {0, 2}), (1, {1, 3})]


def test_what_belongs_together():
    ties = tied(range(7), [(5, 1), (1, 3), (4, 6)])
    assert sorted(map(sorted, ties.groups())) == [[1, 3, 5], [4, 6]]
    assert [ties.top(one) for one in ties.all] == [0, 1, 2, 1, 4, 1, 4]
    assert list(ties.near(1)) == [5, 3]
    assert list(ties.near(0)) == []


def test_a_long_film_is_not_compared_frame_by_frame_with_all_of_it(tmp_path, monkeypatch):
    """Each frame shows the picture of the next six; all hang together."""
    asked = []

    def same(self, a: int, b: int, cosine: float) -> bool:
        asked.append((a, b))
        return abs(a - b) <= 6

    monkeypatch.setattr(copies.Comparison, "same", same)
    rng, backbone = np.random.default_rng(0), NumpyBackbone(dim=64)
    turns = np.arange(800)[:, None] * rng.normal(size=64) / 15 + rng.uniform(0, 6, 64)
    with Gallery.create(tmp_path, backbone=backbone) as gallery:
        gallery.add(
            Features.from_raw(
                [f"{i:03d}" for i in range(800)], np.cos(turns, dtype=np.float32), backbone.spec
            )
        )
        groups = find_duplicates(gallery)
    assert sum(len(group.members) for group in groups) == 800
    assert {len(group.members) for group in groups} <= {7, 2}
    assert len(asked) < 10 * 800
