"""Retrieval: how well does each image find the others of its class?"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from featurelens.assess.arrays import BLOCK_BYTES, Labels, blocks, comparable, encode
from featurelens.assess.both_roles import spreads, wide_interval
from featurelens.assess.half_samples import vote_spreads
from featurelens.assess.interval import (
    random_average_precision,
    random_average_precision_at_r,
    same_class_rate,
)
from featurelens.assess.neighbours import nearest
from featurelens.assess.result import Measure, undefined
from featurelens.errors import InvalidInput
from featurelens.shapes import Float, Float64, Int64

_PROTOCOL = "every image with another of its class is a query against all other labelled images, by cosine"


def retrieval(
    features: Float[np.ndarray, "n d"], labels: Labels, *, ks: Sequence[int] = (1, 5, 10), seed: int = 0
) -> dict[str, Measure]:
    """Leave-one-out retrieval: mAP, mAP@R, R-precision and precision@k of the labelled rows.

    mAP is scikit-learn's average precision (tied similarities count together), mAP@R and R-precision are
    those of Musgrave et al. 2020. Images that are alone in their class are no queries. A k beyond the number
    of other images, or having no query at all, makes that measure undefined.

    >>> rows = np.array([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [0.1, 1.0]])
    >>> retrieval(rows, ["a", "a", "b", "b"], ks=(1,))["mAP"].value
    1.0
    """
    if any(k < 1 for k in ks):
        raise InvalidInput(f"ks={tuple(ks)}: each k is how many results are looked at, 1 or more.")
    classes = encode(labels, len(features))
    known = np.flatnonzero(classes.known)
    codes, counts = classes.codes[known], classes.counts
    total = len(known) - 1
    relevant = counts[codes] - 1
    queries = relevant > 0
    names = ["mAP", "mAP@R", "R-precision", *(f"precision@{k}" for k in ks)]
    if not queries.any():
        reason = f"no image has another of its class ({len(counts)} classes, {len(known)} labelled images)"
        return {name: undefined(name, reason, n=0, protocol=_PROTOCOL) for name in names}
    rows = features[known]
    values = _values(rows, codes, ks)
    wider = spreads(lambda kept: _values(rows[kept], codes[kept], ks, alone=np.nan), codes, seed=seed)
    if 1 in ks:
        wider["precision@1"] = vote_spreads(
            lambda kept: _first_right(rows[kept], codes[kept]), codes, seed=seed
        )["precision@1"]
    sizes, queries_of = np.unique(relevant[queries], return_counts=True)
    chances = {
        "mAP": _weighted(random_average_precision, sizes, queries_of, total),
        "mAP@R": _weighted(random_average_precision_at_r, sizes, queries_of, total),
    }
    flat = same_class_rate(counts) * len(known) / queries.sum()
    results = {}
    for name in names:
        if name.startswith("precision@"):
            k = int(name.partition("@")[2])
            if k > total:
                reason = f"there are only {total} other images"
                results[name] = undefined(name, reason, n=int(queries.sum()), protocol=_PROTOCOL)
                continue
        per_item = np.full(len(features), np.nan)
        per_item[known[queries]] = values[name][queries]
        results[name] = Measure(
            name,
            float(np.nanmean(per_item)),
            n=int(queries.sum()),
            protocol=f"{_PROTOCOL}; interval by bootstrap over queries, {wider[name]:.2f} times as wide because "
            f"every image is a result too ({'half-samples' if name == 'precision@1' else 'grouped jackknife'})",
            interval=wide_interval(per_item, wider[name], seed=seed),
            chance=chances.get(name, float(flat)),
            detail={
                "per_class": {
                    label: float(per_item[classes.codes == c].mean())
                    for c, label in enumerate(classes.names)
                    if counts[c] > 1
                },
                "alone": int((~queries).sum()),
                "spread": wider[name],
                "unlabelled": len(features) - len(known),
            },
            per_item=per_item,
        )
    return results


def _first_right(
    rows: Float[np.ndarray, "n d"], codes: Int64[np.ndarray, "n"]
) -> dict[str, Float64[np.ndarray, "kept"]]:
    """precision@1 of the rows that have another of their class: a vote of one, which jumps as votes do."""
    asking = np.bincount(codes)[codes] > 1
    found = nearest(rows, k=1)[0][:, 0]
    return {"precision@1": (codes[found] == codes)[asking].astype(np.float64)}


def _values(
    rows: Float[np.ndarray, "n d"], codes: Int64[np.ndarray, "n"], ks: Sequence[int], *, alone: float = 0.0
) -> dict[str, Float64[np.ndarray, "n"]]:
    """Every measure for every row; `alone` for rows that have nothing to find."""
    relevant = np.bincount(codes)[codes] - 1
    deepest = min(len(rows) - 1, max([int(relevant.max()), *ks]))
    found = {"mAP": average_precisions(rows, codes), **_top_values(rows, codes, relevant, deepest, ks)}
    return {name: np.where(relevant > 0, values, alone) for name, values in found.items()}


def _top_values(
    rows: Float[np.ndarray, "n d"],
    codes: Int64[np.ndarray, "n"],
    relevant: Int64[np.ndarray, "n"],
    deepest: int,
    ks: Sequence[int],
) -> dict[str, Float64[np.ndarray, "n"]]:
    """The measures that look at the first ranks only, block by block of queries: classes can be large."""
    names = ("mAP@R", "R-precision", *(f"precision@{k}" for k in ks))
    values = {name: np.zeros(len(rows)) for name in names}
    ranks = np.arange(1, deepest + 1)
    for part in blocks(len(rows), 32 * deepest, budget=8 * BLOCK_BYTES):
        asked = np.arange(part.start, part.stop)
        indices, _ = nearest(rows[part], rows, k=deepest, skip=asked)
        hits = codes[indices] == codes[part, None]
        within = hits & (ranks <= relevant[part, None])
        needed = np.maximum(relevant[part], 1)
        values["mAP@R"][part] = (within * np.cumsum(hits, axis=1) / ranks).sum(axis=1) / needed
        values["R-precision"][part] = within.sum(axis=1) / needed
        for k in ks:
            values[f"precision@{k}"][part] = hits[:, :k].mean(axis=1)
    return values


def _weighted(
    chance: Callable[[int, int], float],
    sizes: Int64[np.ndarray, "m"],
    weights: Int64[np.ndarray, "m"],
    total: int,
) -> float:
    return sum(chance(int(r), total) * int(w) for r, w in zip(sizes, weights, strict=True)) / int(
        weights.sum()
    )


def average_precisions(
    features: Float[np.ndarray, "n d"], codes: Int64[np.ndarray, "n"]
) -> Float64[np.ndarray, "n"]:
    """Average precision of each row's ranking of all others; 0 for rows with nothing to find."""
    rows = comparable(features)
    order = np.argsort(codes, kind="stable")
    sizes = np.bincount(codes)
    members = np.split(order, np.cumsum(sizes)[:-1])
    result = np.zeros(len(codes))
    for part in blocks(len(codes), 8 * len(codes)):
        similarity = rows[part] @ rows.T
        for offset, row in enumerate(similarity):
            at = part.start + offset
            same = members[codes[at]]
            good = np.sort(row[same[same != at]])
            row[at] = -np.inf
            ranked = np.sort(row)
            above = len(row) - np.searchsorted(ranked, good, side="left")
            good_above = len(good) - np.searchsorted(good, good, side="left")
            if len(good):
                result[at] = (good_above / above).mean()
    return result
