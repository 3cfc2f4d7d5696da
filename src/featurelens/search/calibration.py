"""How similar a hit must be before it says anything: measured on the gallery's own nearest neighbours."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np

from featurelens.durable import write_file
from featurelens.search.cache import State
from featurelens.search.gallery import Gallery
from featurelens.search.vectors import Snapshot, sample

LEAST = 50  # images; of fewer there is no telling
NAME = "calibration.json"
STALE = 0.1  # measured anew when more than this share of the images came or went
COPY = 0.98  # a neighbour that is more similar is a copy, and says nothing about others
_ASKED = 512


def nothing_matches_below(gallery: Gallery, *, share: float = 0.05) -> float | None:
    """The similarity that all but `share` of the gallery's own images find in their nearest other image.

    A query whose best hit stays below it is less at home in the gallery than 19 in 20 of its own images are: the
    hit is the nearest of what there is, and no match (a conformal test of novelty; Vovk et al. 2005, Laxhammar 2014).
    Up to 512 images are asked, copies (cosine above 0.98) are passed over. None for fewer than fifty images, or
    where all are copies. Cached in the gallery folder. Raises GalleryError.
    """
    snapshot = gallery.finder.snapshot()
    if snapshot.alive < LEAST:
        return None
    if (held := _held(gallery, snapshot, share)) is not None:
        return held
    best = nearest_others(gallery, snapshot)
    if not len(best):
        return None
    line = float(np.quantile(best, share))
    _hold(gallery, snapshot, share, line)
    return line


def nearest_others(gallery: Gallery, snapshot: Snapshot) -> np.ndarray:
    """For up to 512 images, evenly spread, the similarity of the nearest one that is neither itself nor a copy."""
    _, cosines = gallery.finder.nearest.search(snapshot, sample(snapshot, _ASKED), 16)
    best = [values[values < COPY] for values in cosines]
    return np.array([values[0] for values in best if len(values)])


def _held(gallery: Gallery, snapshot: Snapshot, share: float) -> float | None:
    try:
        held = json.loads((gallery.folder / NAME).read_bytes())
        state, then = snapshot.state, State(**held["state"])
        changed = abs(state.top - then.top) + abs(state.gone - then.gone)
        fits = state.epoch == then.epoch and held["share"] == share
        return float(held["line"]) if fits and changed <= STALE * snapshot.alive else None
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _hold(gallery: Gallery, snapshot: Snapshot, share: float, line: float) -> None:
    if not gallery.finder.writable:
        return
    text = json.dumps({"state": asdict(snapshot.state), "share": share, "line": line}).encode()
    try:
        write_file(gallery.folder / NAME, lambda file: file.write(text), durable=False)
    except OSError:
        return  # a full disk: it is measured again the next time
