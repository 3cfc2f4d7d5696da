"""The kNN probe: what the neighbours of an image say about its class."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from featurelens.assess.arrays import Classes, Labels, blocks, encode
from featurelens.assess.both_roles import wide_interval
from featurelens.assess.half_samples import vote_spreads
from featurelens.assess.interval import share_interval
from featurelens.assess.neighbours import nearest
from featurelens.assess.result import Measure, undefined
from featurelens.assess.splits import Split
from featurelens.shapes import Float, Float64, Int64

TEMPERATURE = 0.07
KS = (10, 20, 100, 200)
_SHUFFLES = 5


def knn_probe(
    features: Float[np.ndarray, "n d"],
    labels: Labels,
    *,
    ks: Sequence[int] = KS,
    splits: Sequence[Split] | None = None,
    seed: int = 0,
) -> dict[int, Measure]:
    """Accuracy of DINOv2's kNN classifier for each k: unit vectors, votes weighted by softmax(cos / 0.07).

    Without `splits` every labelled image is judged by all others (leave one out), and intervals are wider by
    `detail["spread"]` (see `half_samples`). `per_item` says for each row whether it was right;
    `detail["predicted"]` is the class name it got. `chance` lets the same neighbours vote with shuffled labels.
    A k beyond the number of teaching images is undefined. Oquab et al. 2023; Caron et al. 2021.

    >>> rows = np.array([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [0.1, 1.0]])
    >>> knn_probe(rows, ["a", "a", "b", "b"], ks=(1,))[1].value
    1.0
    """
    classes = encode(labels, len(features))
    known = np.flatnonzero(classes.known).astype(np.int64)
    count = len(classes.names)
    way = "leave one out" if splits is None else f"{len(splits)} split{'s' if len(splits) > 1 else ''}"
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
        wider = _spreads(features[known], classes.codes[known], usable, seed) if splits is None else {}
        for place, k in enumerate(usable):
            level = float(np.nanmean(chance[place]))
            results[k] = _measure(k, predicted[place], classes, way, level, wider.get(str(k)), seed)
    return {k: results[k] for k in ks}


def _chance(
    taught: Int64[np.ndarray, "n"],
    own: Int64[np.ndarray, "q"] | None,
    indices: Int64[np.ndarray, "q k"],
    similarity: Float[np.ndarray, "q k"],
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


def _spreads(
    rows: Float[np.ndarray, "n d"], codes: Int64[np.ndarray, "n"], ks: Sequence[int], seed: int
) -> dict[str, float]:
    """How much wider each k's interval must be because the images vote for one another."""

    def right(kept: Int64[np.ndarray, "kept"]) -> dict[str, Float64[np.ndarray, "kept"]]:
        own = codes[kept]
        indices, similarity = nearest(rows[kept], k=min(max(ks), len(kept) - 1))
        votes = {k: vote(own[indices[:, :k]], similarity[:, :k], int(codes.max()) + 1) for k in ks}
        return {str(k): (of_k.argmax(axis=1) == own).astype(np.float64) for k, of_k in votes.items()}

    return vote_spreads(right, codes, seed=seed)


def _measure(
    k: int,
    predicted: Int64[np.ndarray, "n"],
    classes: Classes,
    way: str,
    chance: float,
    wider: float | None,
    seed: int,
) -> Measure:
    tested, names = predicted >= 0, classes.names
    right = np.where(tested, predicted == classes.codes, np.nan)
    how = "interval by bootstrap over images"
    if wider is not None:
        how += f", {wider:.2f} times as wide because images vote for one another (half-samples)"
    return Measure(
        f"kNN accuracy, k = {k}",
        float(np.nanmean(right)),
        int(tested.sum()),
        f"DINOv2 kNN: softmax(cosine / 0.07), k = {k}, {way}; {how}",
        interval=share_interval(right, seed=seed) if wider is None else _wide(right, wider, seed),
        chance=chance,
        detail={
            "predicted": [names[p] if p >= 0 else None for p in predicted.tolist()],
            **({} if wider is None else {"spread": wider}),
        },
        per_item=right,
    )


def _wide(right: Float64[np.ndarray, "n"], wider: float, seed: int) -> tuple[float, float] | None:
    known = right[~np.isnan(right)]
    alike = len(known) and known.min() == known.max()
    return share_interval(right, seed=seed) if alike else wide_interval(right, wider, seed=seed)


def vote(
    classes: Int64[np.ndarray, "q k"], similarity: Float[np.ndarray, "q k"], count: int
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
