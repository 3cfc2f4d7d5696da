"""More like these, less like those, on photos: what three marks of each kind are worth.

A photo is the query; of its 20 nearest the user marks up to three of the same class as `more` and up to three others as
`less`. mAP over all photos that were not marked, for 300 queries. The weights were chosen on flowers5; clothing10 is
the test. Peers in the same run: the query alone, the plain mean of what is liked, Rocchio's usual weights (1, .75, .25).
Needs ../shared, which a user's clone does not have.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
from _harness import report, table

from featurelens import extract, load_backbone
from featurelens.search import Gallery, feedback_vector

SHARED = Path(__file__).resolve().parents[2] / "shared"
WAYS = ("query alone", "mean of liked", "Rocchio 1, .75, .25", "featurelens")


def average_precision(scores: np.ndarray, right: np.ndarray) -> float:
    """Of one ranking."""
    hits = right[np.argsort(-scores)]
    precision = hits.cumsum() / np.arange(1, len(hits) + 1)
    return float((precision * hits).sum() / max(hits.sum(), 1))


def measure(
    gallery: Gallery, vectors: np.ndarray, labels: np.ndarray, *, queries: int, marks: int
) -> list[float]:
    """The mAP of each of WAYS."""
    ids = np.array([gallery.finder.snapshot().blocks[0].ids])[0]
    found = []
    for i in np.random.default_rng(0).permutation(len(vectors))[:queries].tolist():
        cosines = vectors @ vectors[i]
        cosines[i] = -2
        top = np.argsort(-cosines)[:20]
        liked = [j for j in top if labels[j] == labels[i]][:marks]
        disliked = [j for j in top if labels[j] != labels[i]][:marks]
        rocchio = vectors[i].copy()
        if liked:
            rocchio = rocchio + 0.75 * vectors[liked].mean(0)
        if disliked:
            rocchio = rocchio - 0.25 * vectors[disliked].mean(0)
        ours = feedback_vector(gallery, ids[[i, *liked]].tolist(), less=ids[disliked].tolist())
        unseen = np.ones(len(vectors), bool)
        unseen[[i, *liked, *disliked]] = False
        rest, right = vectors[unseen], labels[unseen] == labels[i]
        ways = (vectors[i], vectors[[i, *liked]].mean(0), rocchio, ours)
        found.append([average_precision(rest @ way, right) for way in ways])
    return np.mean(found, axis=0).tolist()


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--queries", type=int, default=300)
    options.add_argument("--marks", type=int, default=3)
    given = options.parse_args()
    if not SHARED.is_dir():
        sys.exit(f"skipped: {SHARED} with the real photos and weights is not here")
    weights = SHARED / "weights" / "mobilenetv2_100.tflite_in1k"
    rows = []
    for name, backbone in (("embedded", "embedded"), ("MobileNetV2", f"local-dir:{weights}")):
        network = load_backbone(backbone)
        for data in ("flowers5", "clothing10"):
            features = extract(SHARED / "data" / data, network)
            with tempfile.TemporaryDirectory() as folder, Gallery.create(folder, backbone=network) as gallery:
                gallery.add(features)
                labels = np.array(features.labels)
                scores = measure(gallery, features.vectors, labels, queries=given.queries, marks=given.marks)
            rows.append([f"{data}, {name}", *scores])
    print(table(["mAP of what is left", *WAYS], rows))
    gains = {row[0]: row[-1] - max(row[1:-1]) for row in rows if row[0].startswith("clothing10")}
    least = min(gains.values())
    detail = {row[0]: dict(zip(WAYS, row[1:], strict=True)) for row in rows}
    report("feedback: mAP above the best peer, clothing10", round(least, 4), "> 0", least > 0, detail)


if __name__ == "__main__":
    main()
