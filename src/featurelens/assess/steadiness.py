"""How steady a backbone is on a folder of images: harmed features, kept, and one number over all kinds."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from featurelens.assess.interval import mean_interval
from featurelens.assess.perturbations import PERTURBATIONS
from featurelens.assess.result import Measure
from featurelens.assess.stability import Harm, embed_harmed, harms, stability
from featurelens.backbone.protocol import Backbone
from featurelens.durable import write_file
from featurelens.features.store import stamp_file
from featurelens.features.table import Features
from featurelens.images.decode import decode
from featurelens.shapes import Float32

Steadiness = Mapping[Harm, Mapping[str, Measure]]
"""The measures of `stability` for each harm."""


def steadiness(
    images: Path,
    features: Features,
    load: Callable[[], Backbone],
    *,
    count: int,
    middle: bool = False,
    place: Path | None = None,
    seed: int = 0,
    on_progress: Callable[[int, int], None] | None = None,
) -> Steadiness:
    """Stability of `count` images, drawn by the seed, which search among all of `features`.

    Every kind of harm at each of its levels; `middle`: at its middle one only. With `place`, a folder, what
    was embedded is kept, and the backbone is loaded only where something is missing.
    """
    rows = np.sort(np.random.default_rng(seed).permutation(len(features))[:count]).astype(np.int64)
    ids = [features.ids[i] for i in rows]
    todo, found = harms(middle=middle), {}
    kept = None if place is None else _place(place, images, ids, features.spec.fingerprint, seed)
    pixels = backbone = None
    for done, harm in enumerate(todo, 1):
        file = None if kept is None else kept / f"{harm[0]}-{harm[1]:g}.npy"
        harmed = _read(file, (len(rows), features.vectors.shape[1]))
        if harmed is None:
            if backbone is None or pixels is None:
                backbone = load()
                fit = backbone.spec.fit
                pixels = np.stack([decode(images / name, fit=fit).pixels for name in ids])
            made = embed_harmed(pixels, backbone.embed, harm, ids=ids, seed=seed)
            harmed = made.astype(np.float32)
            if file is not None:
                _write(file, harmed)
        found[harm] = stability(features.vectors, harmed, features.labels, rows=rows, seed=seed)
        if on_progress:
            on_progress(done, len(todo))
    return found


def overall(found: Steadiness) -> dict[str, Measure]:
    """Each measure averaged over the kinds of harm at their middle level, with an interval over images."""
    middle = [found[harm] for harm in harms(middle=True) if harm in found]
    result = {}
    for name in middle[0] if middle else ():
        ones = [measures[name] for measures in middle]
        rows = [one.per_item for one in ones if one.per_item is not None]
        if len(rows) < len(ones):
            result[name] = ones[0]  # undefined, with its reason
            continue
        mean = np.mean(rows, axis=0)
        result[name] = replace(
            ones[0],
            value=float(np.nanmean(mean)),
            interval=mean_interval(mean),
            protocol=f"mean over {len(ones)} kinds of harm at their middle level; {ones[0].protocol}",
            detail={},
            per_item=None,
        )
    return result


def _place(place: Path, images: Path, ids: Sequence[str], fingerprint: str, seed: int) -> Path:
    """The folder of just these images, this backbone, this seed and these harms; those of others are dropped."""
    levels = {kind: levels for kind, (_, levels) in PERTURBATIONS.items()}
    decisive = [fingerprint, seed, levels, [(one, stamp_file(images / one)) for one in ids]]
    mark = hashlib.sha256(json.dumps(decisive).encode()).hexdigest()[:12]
    for old in place.glob("harmed-*"):
        if old.name != f"harmed-{mark}":
            shutil.rmtree(old, ignore_errors=True)
    folder = place / f"harmed-{mark}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _read(file: Path | None, shape: tuple[int, int]) -> Float32[np.ndarray, "m d"] | None:
    if file is None:
        return None
    try:
        rows = np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return rows if rows.shape == shape and rows.dtype == np.float32 else None


def _write(file: Path, rows: Float32[np.ndarray, "m d"]) -> None:
    write_file(file, lambda opened: np.save(opened, rows, allow_pickle=False))
