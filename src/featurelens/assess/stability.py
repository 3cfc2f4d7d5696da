"""Stability: how far do features move when the image is harmed a little, and does it matter?"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from featurelens.assess.agreement import overlap
from featurelens.assess.arrays import Labels, encode, unit
from featurelens.assess.collapse import COLLAPSED, same_directions
from featurelens.assess.interval import difference_interval, mean_interval
from featurelens.assess.neighbours import nearest
from featurelens.assess.perturbations import PERTURBATIONS, perturb
from featurelens.assess.probe_knn import vote
from featurelens.assess.result import Measure, undefined
from featurelens.errors import InvalidInput
from featurelens.shapes import Bool, Float, Int64, UInt8

Harm = tuple[str, float]
"""A kind of PERTURBATIONS and its level."""
Embed = Callable[[UInt8[np.ndarray, "batch row col 3"]], Float[np.ndarray, "batch d"]]


def stability(
    clean: Float[np.ndarray, "n d"],
    harmed: Float[np.ndarray, "m d"],
    labels: Labels | None = None,
    *,
    rows: Int64[np.ndarray, "m"] | None = None,
    k: int = 10,
    seed: int = 0,
) -> dict[str, Measure]:
    """Drift, neighbour overlap and accuracy drop between the features of clean and of harmed images.

    `drift`: mean cosine distance of an image to its harmed self over that between different images, so
    that 1 means "as far as another image". `neighbour overlap@k`: the share of the k nearest clean images
    that the harmed query still finds. `accuracy drop`: kNN accuracy (DINOv2 weights) of clean minus harmed
    queries. Harmed row i is the clean row `rows[i]` (default: i), which is never its own neighbour; `labels`
    are those of the clean rows. Raises InvalidInput when the tables do not fit together.

    >>> rows = np.random.default_rng(0).standard_normal((20, 4))
    >>> stability(rows, rows, k=3)["drift"].value < 1e-12
    True
    """
    itself = np.arange(len(clean), dtype=np.int64) if rows is None else rows
    if clean.shape[1:] != harmed.shape[1:] or len(harmed) != len(itself):
        raise InvalidInput(
            f"clean is {list(clean.shape)}, harmed {list(harmed.shape)} for {len(itself)} rows; give the same "
            "images in the same order, or as `rows` the clean row of each harmed image."
        )
    n, name = len(clean), f"neighbour overlap@{k}"
    if n <= k:
        return {
            one: undefined(
                one, f"k = {k} needs more than {k} images", n=len(harmed), protocol="clean against harmed"
            )
            for one in ("drift", name, "accuracy drop")
        }
    before, similarity_before = nearest(clean[itself], clean, k=k, skip=itself)
    after, similarity_after = nearest(harmed, clean, k=k, skip=itself)
    shared = overlap(before, after)
    results = {
        "drift": _drift(unit(clean), unit(harmed), itself, same_directions(clean), seed),
        name: Measure(
            name,
            float(shared.mean()),
            len(harmed),
            f"share of the {k} nearest of {n} clean images that the harmed query keeps; bootstrap over images",
            interval=mean_interval(shared, seed=seed),
            chance=k / (n - 1),
            per_item=shared,
        ),
    }
    if labels is not None:
        classes = encode(labels, n)
        right = [
            _right(classes.codes, len(classes.names), itself, found, similarity)
            for found, similarity in ((before, similarity_before), (after, similarity_after))
        ]
        results["accuracy drop"] = _drop(right, classes.known[itself], k, seed)
    return results


def _drift(
    clean: Float[np.ndarray, "n d"],
    harmed: Float[np.ndarray, "m d"],
    rows: Int64[np.ndarray, "m"],
    fallen: bool,
    seed: int,
) -> Measure:
    n, total = len(clean), clean.sum(axis=0)
    moved = 1 - np.einsum("nd,nd->n", clean[rows], harmed)
    between = (n * n - total @ total - (n - np.einsum("nd,nd->n", clean, clean).sum())) / (n * (n - 1))
    if between <= 0 or fallen:
        return undefined("drift", COLLAPSED, n=len(harmed), protocol="cosine", better="lower")
    drift = np.maximum(moved, 0) / between
    return Measure(
        "drift",
        float(drift.mean()),
        len(harmed),
        "cosine distance to the harmed self over the mean distance of different images; bootstrap",
        interval=mean_interval(drift, seed=seed),
        chance=1.0,
        better="lower",
        detail={"cosine_drift": float(moved.mean()), "between_images": float(between)},
        per_item=drift,
    )


def _right(
    codes: Int64[np.ndarray, "n"],
    count: int,
    rows: Int64[np.ndarray, "m"],
    found: Int64[np.ndarray, "m k"],
    similarity: Float[np.ndarray, "m k"],
) -> Float[np.ndarray, "m"]:
    """1 where the neighbours of clean row `rows[i]` vote for its label; neighbours without one have a vote apart."""
    known = codes[found]
    votes = vote(np.where(known < 0, count, known), similarity, count + 1)[:, :count]
    return (votes.argmax(axis=1) == codes[rows]).astype(np.float64) if count else np.zeros(len(rows))


def _drop(right: list[Float[np.ndarray, "m"]], known: Bool[np.ndarray, "m"], k: int, seed: int) -> Measure:
    protocol = f"kNN accuracy, k = {k}, of clean minus harmed queries among clean images; paired bootstrap"
    if not known.any():
        return undefined("accuracy drop", "no image has a label", n=0, protocol=protocol, better="lower")
    lost = np.where(known, right[0] - right[1], np.nan)
    return Measure(
        "accuracy drop",
        float(np.nanmean(lost)),
        int(known.sum()),
        protocol,
        interval=difference_interval(lost, seed=seed),
        chance=0.0,
        better="lower",
        detail={"clean": float(right[0][known].mean()), "harmed": float(right[1][known].mean())},
        per_item=lost,
    )


def stability_of(
    pixels: UInt8[np.ndarray, "n row col 3"],
    embed: Embed,
    *,
    ids: Sequence[str],
    labels: Labels | None = None,
    kinds: Mapping[str, Sequence[float]] | None = None,
    k: int = 10,
    batch_size: int = 32,
    seed: int = 0,
    on_progress: Callable[[int, int], None] | None = None,
) -> dict[Harm, dict[str, Measure]]:
    """Stability of a backbone (`embed`: uint8 pixels to features) for each kind and level of harm.

    `pixels` are the images at the backbone's size; by default all PERTURBATIONS at their three levels.
    """
    clean = embed_harmed(pixels, embed, None, ids=ids, batch_size=batch_size)
    results, todo = {}, harms(kinds)
    for done, harm in enumerate(todo, 1):
        harmed = embed_harmed(pixels, embed, harm, ids=ids, batch_size=batch_size, seed=seed)
        results[harm] = stability(clean, harmed, labels, k=k, seed=seed)
        if on_progress:
            on_progress(done, len(todo))
    return results


def harms(kinds: Mapping[str, Sequence[float]] | None = None, *, middle: bool = False) -> list[Harm]:
    """Every kind with each of its levels; `middle`: only its middle one.

    >>> harms({"noise": (0.01, 0.05, 0.1), "jpeg": (50, 80, 92)}, middle=True)
    [('noise', 0.05), ('jpeg', 80.0)]
    """
    chosen = {name: levels for name, (_, levels) in PERTURBATIONS.items()} if kinds is None else kinds
    return [
        (kind, float(level))
        for kind, levels in chosen.items()
        for level in ([levels[len(levels) // 2]] if middle else levels)
    ]


def embed_harmed(
    pixels: UInt8[np.ndarray, "n row col 3"],
    embed: Embed,
    harm: Harm | None,
    *,
    ids: Sequence[str],
    batch_size: int = 32,
    seed: int = 0,
) -> Float[np.ndarray, "n d"]:
    """Features of the images after one harm (None: as they are), batch by batch."""
    rows = []
    for start in range(0, len(pixels), batch_size):
        part = slice(start, start + batch_size)
        batch = pixels[part]
        if harm is not None:
            batch = perturb(batch, harm[0], harm[1], ids=ids[part], seed=seed)
        rows.append(embed(batch))
    return np.concatenate(rows)
