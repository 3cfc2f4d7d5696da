"""What drives each unit of a network, found in one pass over the user's images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from featurelens.backbone.protocol import Backbone
from featurelens.backbone.untouched import untouched
from featurelens.errors import InvalidInput
from featurelens.features.progress import OnProgress
from featurelens.features.sources import Source
from featurelens.images.decode import DEFAULT_MAX_PIXELS
from featurelens.images.fit import Fit
from featurelens.see.exemplars import Exemplars
from featurelens.see.passing import batches_from, some_of
from featurelens.see.reading import Reading, autocast, with_layers
from featurelens.see.tally import Tally
from featurelens.see.unit_store import UnitStore
from featurelens.shapes import Bool, Float32, Float64, Int64, UInt8


@dataclass(frozen=True, eq=False)
class LayerUnits:
    """The units (channels) of one layer. An image's answer is its largest value over all places.

    `image` [unit, top]: the strongest images, as positions in `Units.images` (-1: none); `score` their answers;
    `place` (row, column as shares of the side) and `maps` where they lie. `counts` [unit, bin] between `low` and
    `high` is the histogram of all answers; `active` the share of images whose answer is above zero.
    """

    layer: str
    image: Int64[np.ndarray, "unit top"]
    score: Float32[np.ndarray, "unit top"]
    place: Float32[np.ndarray, "unit top 2"]
    maps: Float32[np.ndarray, "unit top row col"]
    best_mean: Float32[np.ndarray, " unit"]
    counts: Int64[np.ndarray, "unit bin"]
    low: Float64[np.ndarray, " unit"]
    high: Float64[np.ndarray, " unit"]
    mean: Float64[np.ndarray, " unit"]
    deviation: Float64[np.ndarray, " unit"]
    active: Float64[np.ndarray, " unit"]
    silent: Bool[np.ndarray, " unit"]

    def __len__(self) -> int:
        return len(self.image)

    @property
    def dead(self) -> list[int]:
        """Units that give the same answer to every image, mostly zero."""
        return [int(unit) for unit in np.flatnonzero(self.silent)]

    @property
    def contrast(self) -> Float64[np.ndarray, " unit"]:
        """How far the best answer stands out: in standard deviations from the mean answer."""
        gap = self.score[:, 0] - self.mean
        return np.where(self.deviation > 0, gap / np.where(self.deviation > 0, self.deviation, 1.0), 0.0)


@dataclass(frozen=True, eq=False)
class Units:
    """All layers of one pass, the images that could be read, and those that could not with their reason."""

    layers: tuple[LayerUnits, ...]
    images: tuple[Source, ...]
    skipped: tuple[tuple[str, str], ...]
    backbone: str
    weights: str
    fit: Fit
    max_pixels: int = DEFAULT_MAX_PIXELS

    def __getitem__(self, layer: str) -> LayerUnits:
        for one in self.layers:
            if one.layer == layer:
                return one
        raise InvalidInput(f"'{layer}' is not among {[one.layer for one in self.layers]}.")

    def save(self, folder: Path, **options: Any) -> Path:
        """Write static pages with a permanent address for each unit; returns the first (see `write_pages`)."""
        from featurelens.see.unit_pages import write_pages

        return write_pages(self, folder, **options)


def units(
    images: Any,
    backbone: Backbone,
    layers: str | Sequence[str],
    *,
    top: int = 9,
    bins: int = 32,
    limit: int | None = None,
    batch_size: int = 32,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    store: str | Path | None = None,
    on_progress: OnProgress | None = None,
) -> Units:
    """Find, for each channel of `layers`, the `top` images that drive it most, where, and how often it answers.

    One pass over `images` (what `extract` takes; with `limit` that many of them, spread evenly), which ends at
    the last layer. Files that cannot be read, or have more than `max_pixels`, are listed with their reason. With
    `store`, a folder, a run that was stopped or killed goes on where it was, and a finished one is read; what lies in it is
    none of the images. The network is left as it was.
    Raises LayerError, InvalidInput.

    >>> from featurelens import load_backbone  # doctest: +SKIP
    >>> net = load_backbone("resnet18", engine="torch")  # doctest: +SKIP
    >>> units("photos", net, "layer3").save(Path("units"))  # doctest: +SKIP
    """
    names = [layers] if isinstance(layers, str) else list(layers)
    if not names or len(set(names)) != len(names):
        raise InvalidInput(f"layers={names}: name at least one layer, and each only once.")
    if top < 1 or bins < 2:
        raise InvalidInput(f"top={top} must be at least 1 and bins={bins} at least 2.")
    net = with_layers(backbone)
    fit = net.spec.fit
    kept = {name: (Exemplars(top=top), Tally(bins=bins), Positive()) for name in names}
    home = None if store is None else Path(store)
    listed = some_of(images, limit, stamped=home is not None, store=home)
    done, seen, skipped, keep = 0, list[Source](), list[tuple[str, str]](), None
    if home is not None:
        about = {
            "weights": net.spec.fingerprint,
            "layers": names,
            "top": top,
            "bins": bins,
            "batch": batch_size,
            "max_pixels": max_pixels,
        }
        keep = UnitStore(home, about, listed)
        done, seen, skipped = keep.load(kept)
    with untouched(net.module):
        reading = Reading(net, names, (fit.rows, fit.cols))

        def work(pixels: UInt8[np.ndarray, "batch row col 3"]) -> dict[str, Tensor]:
            with torch.inference_mode(), autocast(net):
                return reading(net.prepare(pixels), detach=True)

        for sources, outputs in batches_from(
            listed,
            fit,
            work,
            done=done,
            batch_size=batch_size,
            max_pixels=max_pixels,
            on_progress=on_progress,
            on_failure=lambda source, reason: skipped.append((source.id, reason)),
        ):
            seen += sources
            for name, (exemplars, tally, positive) in kept.items():
                with torch.inference_mode():
                    answers = exemplars.add(outputs[name])
                tally.add(answers)
                positive.add(answers)
            if keep:
                keep.save(kept, seen, skipped)
        if keep and done < len(listed):
            keep.save(kept, seen, skipped, at_once=True)
    if not seen:
        raise InvalidInput(f"None of the {len(skipped)} images could be read; the first: {skipped[0][1]}.")
    made = tuple(_layer(name, *parts) for name, parts in kept.items())
    return Units(made, tuple(seen), tuple(skipped), net.spec.name, net.spec.fingerprint, fit, max_pixels)


class Positive:
    """Counts answers above zero."""

    def __init__(self) -> None:
        self.count: Any = 0
        self.total = 0

    def add(self, answers: Float32[np.ndarray, "batch unit"]) -> None:
        """Count one batch."""
        self.count = self.count + (answers > 0).sum(0)
        self.total += len(answers)


def _layer(name: str, exemplars: Exemplars, tally: Tally, positive: Positive) -> LayerUnits:
    return LayerUnits(
        layer=name,
        image=exemplars.image,
        score=exemplars.score,
        place=exemplars.place,
        maps=exemplars.maps,
        best_mean=exemplars.best_mean,
        counts=tally.counts,
        low=tally.low,
        high=tally.high,
        mean=tally.mean,
        deviation=tally.deviation,
        active=positive.count / positive.total,
        silent=tally.most <= tally.least,
    )
