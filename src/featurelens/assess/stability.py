"""Stability: how far do features move when the image is harmed a little, and does it matter?"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from featurelens.assess.agreement import overlap
from featurelens.assess.arrays import Labels, encode, unit
from featurelens.assess.interval import mean_interval
from featurelens.assess.neighbours import nearest
from featurelens.assess.perturbations import PERTURBATIONS, perturb
from featurelens.assess.probe_knn import vote
from featurelens.assess.result import Measure, undefined
from featurelens.errors import InvalidInput
from featurelens.shapes import Float, Int64, UInt8

Embed = Callable[[UInt8[np.ndarray, "batch row col 3"]], Float[np.ndarray, "batch d"]]


def stability(
    clean: Float[np.ndarray, "n d"],
    harmed: Float[np.ndarray, "m d"],
    labels: Labels | None = None,
    *,
    k: int = 10,
    seed: int = 0,
) -> dict[str, Measure]:
    """Drift, neighbour overlap and accuracy drop between the features of clean and of harmed images.

    `drift`: mean cosine distance of an image to its harmed self over that between different images, so
    that 1 means "as far as another image". `neighbour overlap@k`: the share of the k nearest clean images
    that the harmed query still finds. `accuracy drop`: kNN accuracy (DINOv2 weights) of clean minus harmed
    queries. Row i of both tables is image i; it is never its own neighbour. Raises InvalidInput when the
    tables differ in length.

    >>> rows = np.random.default_rng(0).standard_normal((20, 4))
    >>> stability(rows, rows, k=3)["drift"].value < 1e-12
    True
    """
    if clean.shape != harmed.shape:
        raise InvalidInput(
            f"clean is {list(clean.shape)}, harmed {list(harmed.shape)}; give the same images in the same order."
        )
    n, names = len(clean), ("drift", f"neighbour overlap@{k}", "accuracy drop")
    if n <= k:
        return {
            name: undefined(name, f"k = {k} needs more than {k} images", n=n, protocol="clean against harmed")
            for name in names
        }
    a, b = unit(clean), unit(harmed)
    moved = 1 - np.einsum("nd,nd->n", a, b)
    total = a.sum(axis=0)
    between = (n * n - total @ total - (n - np.einsum("nd,nd->n", a, a).sum())) / (n * (n - 1))
    results = {}
    if between <= 1e-12:
        reason = "all clean images have the same features"
        results["drift"] = undefined("drift", reason, n=n, protocol="cosine", better="lower")
    else:
        drift = np.maximum(moved, 0) / between
        results["drift"] = Measure(
            "drift",
            float(drift.mean()),
            n,
            "cosine distance to the harmed self over the mean distance of different images; bootstrap",
            interval=mean_interval(drift, seed=seed),
            chance=1.0,
            better="lower",
            detail={"cosine_drift": float(moved.mean()), "between_images": float(between)},
            per_item=drift,
        )
    itself = np.arange(n, dtype=np.int64)
    before, similarity_before = nearest(clean, k=k)
    after, similarity_after = nearest(harmed, clean, k=k, skip=itself)
    shared = overlap(before, after)
    results[names[1]] = Measure(
        names[1],
        float(shared.mean()),
        n,
        f"share of the {k} nearest clean images that the harmed query keeps; bootstrap over images",
        interval=mean_interval(shared, seed=seed),
        chance=k / (n - 1),
        per_item=shared,
    )
    if labels is not None:
        classes = encode(labels, n)
        right = [
            _right(classes.codes, len(classes.names), found, similarity)
            for found, similarity in ((before, similarity_before), (after, similarity_after))
        ]
        lost = np.where(classes.known, right[0] - right[1], np.nan)
        results["accuracy drop"] = _drop(lost, right, classes.known, k, seed)
    return results


def _right(
    codes: Int64[np.ndarray, "n"], count: int, found: np.ndarray, similarity: np.ndarray
) -> np.ndarray:
    known = codes[found]
    votes = vote(np.where(known < 0, count, known), similarity, count + 1)[:, :count]
    return (votes.argmax(axis=1) == codes).astype(np.float64) if count else np.zeros(len(codes))


def _drop(lost: np.ndarray, right: list[np.ndarray], known: np.ndarray, k: int, seed: int) -> Measure:
    protocol = f"kNN accuracy, k = {k}, of clean minus harmed queries among clean images; paired bootstrap"
    if not known.any():
        return undefined("accuracy drop", "no image has a label", n=0, protocol=protocol, better="lower")
    return Measure(
        "accuracy drop",
        float(np.nanmean(lost)),
        int(known.sum()),
        protocol,
        interval=mean_interval(lost, seed=seed),
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
) -> dict[tuple[str, float], dict[str, Measure]]:
    """Stability of a backbone (`embed`: uint8 pixels to features) for each kind and level of harm.

    `pixels` are the images at the backbone's size; by default all PERTURBATIONS at their three levels.
    """
    chosen = {name: levels for name, (_, levels) in PERTURBATIONS.items()} if kinds is None else kinds
    todo = [(kind, float(level)) for kind, levels in chosen.items() for level in levels]
    starts = range(0, len(pixels), batch_size)

    def features(harm: tuple[str, float] | None) -> Float[np.ndarray, "n d"]:
        rows = []
        for start in starts:
            part = slice(start, start + batch_size)
            batch = pixels[part]
            if harm is not None:
                batch = perturb(batch, harm[0], harm[1], ids=ids[part], seed=seed)
            rows.append(embed(batch))
        return np.concatenate(rows)

    clean = features(None)
    results = {}
    for done, harm in enumerate(todo, 1):
        results[harm] = stability(clean, features(harm), labels, k=k, seed=seed)
        if on_progress:
            on_progress(done, len(todo))
    return results
