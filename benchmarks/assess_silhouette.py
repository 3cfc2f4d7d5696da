"""Silhouette against scikit-learn: cosine through class sums, Euclidean in symmetric tiles, both exact.

Usage: assess_silhouette.py [ROWS [ROUNDS]], default 20,000 rows of 384 numbers in 100 classes.
"""

from __future__ import annotations

import sys
import time

import numpy as np
from _harness import alternate, report, table
from _vectors import clustered
from sklearn.metrics import silhouette_samples as theirs

from featurelens.assess.silhouette import silhouette_samples as ours
from featurelens.features.memory import peak_memory

DIM, CLASSES = 384, 100
TARGETS = {"cosine": 100.0, "euclidean": 3.0}
TOLERANCE = {"cosine": 1e-10, "euclidean": 1e-6}


def main() -> None:
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    labels = np.random.default_rng(0).integers(CLASSES, size=n)
    rows = clustered(n, DIM, clusters=CLASSES, seed=1).astype(np.float64)
    kept: dict[str, np.ndarray] = {}
    before = peak_memory() or 0
    for metric in TARGETS:  # before the peer, whose memory would hide ours
        ours(rows, labels, metric=metric)
    beyond = ((peak_memory() or 0) - before) / 2**20

    def run(name: str, metric: str) -> None:
        call = ours if name == "featurelens" else theirs
        kept[f"{name} {metric}"] = call(rows, labels, metric=metric)

    lines, claims = [], []
    for metric in ("cosine", "euclidean"):
        contenders = {
            f"{who} {metric}": lambda who=who, metric=metric: run(who, metric)
            for who in ("featurelens", "scikit-learn")
        }
        seconds = alternate(contenders, rounds, warm_up=False)
        mine, peer = seconds[f"featurelens {metric}"], seconds[f"scikit-learn {metric}"]
        off = float(np.abs(kept[f"featurelens {metric}"] - kept[f"scikit-learn {metric}"]).max())
        lines.append([metric, mine, peer, peer / mine, off])
        claims.append((metric, peer / mine, off))
    big = clustered(5 * n, DIM, clusters=CLASSES, seed=2).astype(np.float64)  # as the smaller ones
    started = time.perf_counter()
    ours(big, np.random.default_rng(1).integers(CLASSES, size=5 * n), metric="cosine")
    larger = time.perf_counter() - started
    # scikit-learn's time grows with n squared: 25 times the time for 5 times the rows
    scaled = 25 * lines[0][2] / larger
    print(table(["metric", "featurelens s", "scikit-learn s", "times as fast", "largest difference"], lines))
    print(f"cosine at {5 * n:,} rows: {larger:.2f} s; scikit-learn by its scaling {scaled:,.0f} times that")
    print(f"memory beyond the input, both metrics: {beyond:,.0f} MiB")
    for metric, ratio, off in claims:
        report(
            f"{metric} silhouette of {n:,} x {DIM} in {CLASSES} classes, times scikit-learn",
            round(ratio, 1),
            f">= {TARGETS[metric]:g}, within {TOLERANCE[metric]:g}",
            ratio >= TARGETS[metric] and off <= TOLERANCE[metric],
            {
                "largest_difference": off,
                f"cosine_at_{5 * n}_by_scaling": round(scaled),
                "mib_beyond_input": round(beyond),
            },
        )


if __name__ == "__main__":
    main()
