"""The kNN probe: what the neighbours of an image say about its class."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from featurelens.assess.arrays import Labels, blocks, encode
from featurelens.assess.interval import share_interval
from featurelens.assess.neighbours import nearest
from featurelens.assess.result import Measure, undefined
from featurelens.assess.splits import Split
from featurelens.shapes import Float, Float32, Float64, Int64

TEMPERATURE = 0.07
KS = (10, 20, 100, 200)
_SHUFFLES = 5
_LEFT_OUT = (
    "leave one out (images vote for one another: intervals and tests of differences err towards certainty)"
)


def knn_probe(
    features: Float[np.ndarray, "n d"],
    labels: Labels,
    *,
    ks: Sequence[int] = KS,
    splits: Sequence[Split] | None = None,
    seed: int = 0,
) -> dict[int, Measure]:
    """Accuracy of DINOv2's kNN classifier for each k: unit vectors, votes weighted by softmax(cos / 0.07).

    Without `splits` every labelled image is judged by all others (leave one out). `per_item` says for each
    row whether it was right; `detail["predicted"]` is the class name it got. `chance` lets the same neighbours
    vote with shuffled labels. A k beyond the number of
    teaching images is undefined. Oquab et al. 2023; Caron et al. 2021.

    >>> rows = np.array([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [0.1, 1.0]])
    >>> knn_probe(rows, ["a", "a", "b", "b"], ks=(1,))[1].value
    1.0
    """
    classes = encode(labels, len(features))
    known = np.flatnonzero(classes.known).astype(np.int64)
    count = len(classes.names)
    way = _LEFT_OUT if splits is None else f"{len(splits)} split{'s' if len(splits) > 1 else ''}"
    results = {}
    for k in ks:
        name, protocol = f"kNN accuracy, k = {k}", f"DINOv2 kNN: softmax(cosine / 0.07), k = {k}, {way}"
        smallest = len(known) - 1 if splits is None else min(len(split.train) for split in splits)
        if count < 2 or k > smallest:
            reason = f"{count} classes and {max(smallest, 0)} images to learn from; it needs 2 and {k}"
            results[k] = undefined(name, reason, n=len(known), protocol=protocol)
    usable = [k for k in ks if k not in results]
    if usable:
        predicted = np.full((len(usable), len(features)), -1)
        chance = np.full(predicted.shape, np.nan)
        for split in [None] if splits is None else splits:
            rows = known if split is None else split.test
            teach = known if split is None else split.train
            gallery = None if split is None else features[teach]
            indices, similarity = nearest(features[rows], gallery, k=max(usable))
            for place, k in enumerate(usable):
                votes = vote(classes.codes[teach][indices[:, :k]], similarity[:, :k], count)
                predicted[place, rows] = votes.argmax(axis=1)
                own = None if split is None else classes.codes[rows]
                chance[place, rows] = _chance(
                    classes.codes[teach], own, indices[:, :k], similarity[:, :k], count, seed
                )
        for place, k in enumerate(usable):
            level = float(np.nanmean(chance[place]))
            results[k] = _measure(k, predicted[place], classes.codes, classes.names, way, level, seed)
    return {k: results[k] for k in ks}


def _chance(
    taught: Int64[np.ndarray, "n"],
    own: Int64[np.ndarray, "q"] | None,
    indices: Int64[np.ndarray, "q k"],
    similarity: Float32[np.ndarray, "q k"],
    count: int,
    seed: int,
) -> float:
    """How often a vote of the neighbours would be right if the labels were shuffled among the teaching rows.

    `own` are the classes of the tested rows; None where they are teaching rows themselves: their own class
    is then any of those that the shuffling did not deal to their neighbours.
    """
    random = np.random.default_rng(seed)
    hits = []
    for _ in range(_SHUFFLES):
        dealt = random.permutation(taught)[indices]
        said = vote(dealt, similarity, count).argmax(axis=1)
        if own is None:
            left = np.bincount(taught)[said] - (dealt == said[:, None]).sum(axis=1)
            hits.append(left.mean() / (len(taught) - indices.shape[1]))
        else:
            hits.append((np.bincount(own, minlength=count)[said] / len(own)).mean())
    return float(np.mean(hits))


def _measure(
    k: int,
    predicted: np.ndarray,
    codes: np.ndarray,
    names: tuple[str, ...],
    way: str,
    chance: float,
    seed: int,
) -> Measure:
    tested = predicted >= 0
    right = np.where(tested, predicted == codes, np.nan)
    return Measure(
        f"kNN accuracy, k = {k}",
        float(np.nanmean(right)),
        int(tested.sum()),
        f"DINOv2 kNN: softmax(cosine / 0.07), k = {k}, {way}; interval by bootstrap over images",
        interval=share_interval(right, seed=seed),
        chance=chance,
        detail={"predicted": [names[p] if p >= 0 else None for p in predicted.tolist()]},
        per_item=right,
    )


def vote(
    classes: Int64[np.ndarray, "q k"], similarity: Float32[np.ndarray, "q k"], count: int
) -> Float64[np.ndarray, "q count"]:
    """The softmax-weighted share of each class among the neighbours; rows sum to 1."""
    weight = np.exp((similarity - similarity[:, :1]) / np.float64(TEMPERATURE))
    weight /= weight.sum(axis=1, keepdims=True)
    votes = np.zeros((len(classes), count))
    for part in blocks(len(classes), 24 * classes.shape[1]):
        rows = np.arange(part.start, part.stop)[:, None] * count + classes[part]
        flat = np.bincount(
            (rows - part.start * count).ravel(), weight[part].ravel(), (part.stop - part.start) * count
        )
        votes[part] = flat.reshape(-1, count)
    return votes
