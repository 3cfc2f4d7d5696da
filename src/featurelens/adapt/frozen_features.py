"""The embeddings of the images, extracted once and kept, from which heads learn in seconds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from featurelens.backbone.protocol import Backbone, Spec
from featurelens.errors import BackboneError, InvalidInput
from featurelens.features.extract import extract
from featurelens.features.progress import OnProgress
from featurelens.shapes import Float32, UInt8


@dataclass(frozen=True, eq=False)
class FrozenFeatures:
    """Raw embeddings (not normalised: a head needs their lengths), labels ("" if none), and what was left out."""

    ids: tuple[str, ...]
    rows: Float32[np.ndarray, "image dim"]
    labels: tuple[str, ...]
    skipped: tuple[tuple[str, str], ...]


class _WithOne:
    """The backbone with a 1 after every embedding: normalised vectors then still tell the raw ones."""

    def __init__(self, backbone: Backbone) -> None:
        self._backbone = backbone
        spec = backbone.spec
        self.spec: Spec = replace(spec, dim=spec.dim + 1, weights=f"{spec.weights} raw", map_channels=0)
        self.streams = backbone.streams

    def embed(self, pixels: UInt8[np.ndarray, "batch row col 3"]) -> Float32[np.ndarray, "batch dim"]:
        raw = self._backbone.embed(pixels)
        return np.concatenate([raw, np.ones((len(raw), 1), np.float32)], axis=1)

    def maps(self, pixels: UInt8[np.ndarray, "batch row col 3"]) -> Any:
        raise BackboneError("Embeddings with a 1 behind them have no map; ask the backbone itself.")


def frozen_features(
    images: Any,
    backbone: Backbone,
    *,
    labels: Any = None,
    store: Path | None = None,
    on_progress: OnProgress | None = None,
) -> FrozenFeatures:
    """Embed what `extract` takes, resumable in `store`; raises InvalidInput where nothing can be read."""
    found = extract(images, _WithOne(backbone), labels=labels, store=store, on_progress=on_progress)
    assert not isinstance(found, dict)
    if not found.skipped and not len(found):
        where = images if isinstance(images, str | Path) else "the list"
        raise InvalidInput(f"There is no image in {where}. Give a folder with images, or a list of them.")
    if not len(found):
        name, reason = found.skipped[0]
        raise InvalidInput(
            f"None of {len(found.skipped)} files could be read as an image; the first: {name}: {reason}."
        )
    raw = found.vectors[:, :-1] / found.vectors[:, -1:]
    return FrozenFeatures(found.ids, raw, found.labels or ("",) * len(found), found.skipped)
