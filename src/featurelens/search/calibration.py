"""How similar an image must be before the similarity says anything: measured on the gallery itself."""

from __future__ import annotations

import numpy as np

from featurelens.search.gallery import Gallery
from featurelens.search.vectors import Snapshot
from featurelens.shapes import Float32

LEAST = 50  # images; below, the tail of the similarities cannot be seen
_ROWS = 1024


def nothing_matches_below(gallery: Gallery, *, quantile: float = 0.999) -> float | None:
    """The similarity that two images of the gallery that have nothing to do with each other hardly reach.

    None for a gallery of fewer than fifty images.
    """
    snapshot = gallery.finder.snapshot()
    if snapshot.alive < LEAST:
        return None
    rows = _sample(snapshot)
    cosines = (rows @ rows.T)[~np.eye(len(rows), dtype=bool)]
    return float(np.quantile(cosines, quantile))


def _sample(snapshot: Snapshot) -> Float32[np.ndarray, "row dim"]:
    alive = [block.vectors if block.dead is None else block.vectors[~block.dead] for block in snapshot.blocks]
    rows = np.concatenate([some[:: max(1, len(some) // _ROWS)] for some in alive])
    return rows[:_ROWS]
