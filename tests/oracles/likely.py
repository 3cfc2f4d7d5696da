"""Every pair of images that is near enough, by comparing all with all."""

from __future__ import annotations

import numpy as np


def likely(vectors: np.ndarray, ids: list[int], neighbours: int, least: float) -> set[tuple[int, int]]:
    """Pairs (id, id) of which one is among the other's nearest and whose cosine is `least` or more."""
    wide = vectors.astype(np.float64)
    cosines = wide @ wide.T
    np.fill_diagonal(cosines, -np.inf)
    pairs = set()
    for i, line in enumerate(cosines):
        for j in sorted(range(len(line)), key=lambda j: (-line[j], ids[j]))[:neighbours]:
            if line[j] >= least:
                pairs.add((min(ids[i], ids[j]), max(ids[i], ids[j])))
    return pairs
