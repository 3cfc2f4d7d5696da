"""The kNN protocol against scikit-learn's brute-force classifier with the same weights: same votes, less time.

Usage: assess_knn.py [TEACH [ASK [ROUNDS]]], default 50,000 x 10,000 vectors of 384 numbers, k = 20.
"""

from __future__ import annotations

import sys

import numpy as np
from _harness import alternate, report, table
from _vectors import clustered
from sklearn.neighbors import KNeighborsClassifier

from featurelens.assess.probe_knn import TEMPERATURE, knn_probe
from featurelens.assess.splits import Split

DIM, CLASSES, K = 384, 100, 20


def main() -> None:
    teach = int(sys.argv[1]) if len(sys.argv) > 1 else 50_000
    ask = int(sys.argv[2]) if len(sys.argv) > 2 else 10_000
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 3
    centres = np.random.default_rng(0).integers(CLASSES, size=teach + ask)
    base = clustered(teach + ask, DIM, clusters=1, seed=3, spread=1.0)
    pull = np.random.default_rng(1).standard_normal((CLASSES, DIM), dtype=np.float32)
    rows = base + 0.12 * pull[centres] / np.sqrt(DIM, dtype=np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    split = Split(np.arange(teach), np.arange(teach, teach + ask))
    votes: dict[str, np.ndarray] = {}

    def mine() -> None:
        found = knn_probe(rows, centres, ks=(K,), splits=[split])[K]
        votes["featurelens"] = np.array([int(found.detail["predicted"][i]) for i in split.test])

    def peer() -> None:
        model = KNeighborsClassifier(
            K, algorithm="brute", metric="cosine", weights=lambda far: np.exp(-far / TEMPERATURE)
        )
        votes["scikit-learn"] = model.fit(rows[:teach], centres[:teach]).predict(rows[teach:])

    seconds = alternate({"featurelens": mine, "scikit-learn": peer}, rounds, warm_up=False)
    same = float((votes["featurelens"] == votes["scikit-learn"]).mean())
    accuracy = float((votes["featurelens"] == centres[teach:]).mean())
    ratio = seconds["scikit-learn"] / seconds["featurelens"]
    print(table(["", "seconds", "queries a second"], [[n, s, ask / s] for n, s in seconds.items()]))
    print(f"same votes {same:.2%}, accuracy {accuracy:.3f} (chance {1 / CLASSES:g})")
    report(
        f"kNN votes of {ask:,} queries among {teach:,}, times scikit-learn",
        round(ratio, 2),
        ">= 3, identical votes",
        ratio >= 3 and same == 1.0,
        {"same_votes": same, "accuracy": accuracy, "seconds": {k: round(v, 3) for k, v in seconds.items()}},
    )


if __name__ == "__main__":
    main()
