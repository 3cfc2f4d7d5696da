"""Linear CKA of 100,000 images: the memory it takes beyond its input, and the definition on a part of them.

Usage: assess_cka.py [ROWS], default 100,000 rows of 384 and 512 numbers.
"""

from __future__ import annotations

import sys
import time

import numpy as np
from _harness import report, table
from _vectors import clustered

from featurelens.assess.agreement import linear_cka
from featurelens.features.memory import peak_memory

PART = 2000


def by_kernels(x: np.ndarray, y: np.ndarray) -> float:
    """The definition, through n x n kernels."""
    kernels = []
    for rows in (x, y):
        centred = rows.astype(np.float64) - rows.mean(axis=0, dtype=np.float64)
        kernels.append(centred @ centred.T)
    k, m = kernels
    return float((k * m).sum() / np.sqrt((k * k).sum() * (m * m).sum()))


def main() -> None:
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    x = clustered(n, 384, clusters=50, seed=4)
    y = np.concatenate([x[:, :128], clustered(n, 384, clusters=50, seed=5)], axis=1)
    before = peak_memory() or 0
    started = time.perf_counter()
    value = linear_cka(x, y).value
    seconds = time.perf_counter() - started
    extra = (peak_memory() or 0) - before
    whole = (peak_memory() or 0) / 2**20
    started = time.perf_counter()
    exact = by_kernels(x[:PART], y[:PART])
    peer = time.perf_counter() - started
    off = abs(linear_cka(x[:PART], y[:PART]).value - exact)
    lines = [
        [f"d x d, streamed, {n:,} rows", seconds, extra / 2**20, value],
        [f"n x n kernels, {PART:,} rows", peer, 2 * PART * PART * 8 / 2**20, exact],
    ]
    print(table(["", "seconds", "MiB beyond its input", "CKA"], lines))
    print(f"n x n kernels of {n:,} rows would take {2 * n * n * 8 / 2**30:,.0f} GiB")
    report(
        f"linear CKA of {n:,} rows, peak memory of the whole process in MiB",
        round(whole),
        "< 1024, equal to the definition within 1e-8",
        whole < 1024 and off <= 1e-8,
        {"beyond_input_mib": round(extra / 2**20, 1), "seconds": round(seconds, 2), "difference": off},
    )


if __name__ == "__main__":
    main()
