"""Which pairs of images could be copies of each other, by their vectors; every pair comes once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from featurelens.search.nearest import Searcher
from featurelens.search.vectors import Snapshot
from featurelens.shapes import Float32, Int

_CHUNK = 256
_SPARE = 8  # asked for beyond the neighbours: the image itself, and some that do not count

Pairs = list[tuple[int, int, float]]


def likely_pairs(
    nearest: Searcher,
    snapshot: Snapshot,
    alone: set[int],
    *,
    neighbours: int,
    least: float,
) -> Iterator[tuple[int, Pairs]]:
    """(images looked at, pairs), chunk by chunk; a pair is (id, other id, cosine), the most similar first.

    Every image of `alone` is paired with those of its `neighbours` nearest in `alone` whose cosine is `least` or more.
    """
    seen: set[tuple[int, int]] = set()
    for ids, vectors in _chunks(snapshot, alone):
        pairs: Pairs = []
        for one, others, cosines in _nearest(nearest, snapshot, alone, ids, vectors, neighbours):
            for other, cosine in zip(others, cosines, strict=True):
                pair = (min(one, other), max(one, other))
                if cosine >= least and pair not in seen:
                    seen.add(pair)
                    pairs.append((*pair, cosine))
        yield len(ids), sorted(pairs, key=lambda pair: -pair[2])


def _chunks(
    snapshot: Snapshot, alone: set[int]
) -> Iterator[tuple[Int[np.ndarray, " row"], Float32[np.ndarray, "row dim"]]]:
    wanted = np.fromiter(alone, np.int64, len(alone))
    for block in snapshot.blocks:
        at = np.flatnonzero(np.isin(block.ids, wanted))
        for start in range(0, len(at), _CHUNK):
            some = at[start : start + _CHUNK]
            yield block.ids[some], np.asarray(block.vectors[some])


def _nearest(
    nearest: Searcher,
    snapshot: Snapshot,
    alone: set[int],
    ids: Int[np.ndarray, " row"],
    vectors: Float32[np.ndarray, "row dim"],
    neighbours: int,
) -> Iterator[tuple[int, Sequence[int], Sequence[float]]]:
    """The nearest in `alone` of each image, itself left out; where others took their places, only `alone` is looked at.

    To ask for so many that they are among them would hold nearly all vectors once for each image.
    """
    waiting = np.arange(len(ids))
    for asked in (neighbours + _SPARE, 4 * (neighbours + _SPARE), None):
        if not len(waiting):
            return
        allowed = np.sort(np.fromiter(alone, np.int64, len(alone))) if asked is None else None
        found, cosines = nearest.search(snapshot, vectors[waiting], asked or neighbours + 1, allowed=allowed)
        again = []
        for i, near, values in zip(waiting.tolist(), found, cosines, strict=True):
            one = int(ids[i])
            good = [
                (other, value)
                for other, value in zip(near.tolist(), values.tolist(), strict=True)
                if other != one and other in alone
            ][:neighbours]
            if len(good) < neighbours and len(near) == asked:
                again.append(i)
            else:
                yield one, [other for other, _ in good], [value for _, value in good]
        waiting = np.array(again, np.int64)
