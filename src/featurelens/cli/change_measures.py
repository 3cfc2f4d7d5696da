"""The figures of before and after: both networks on the same images, in pairs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from featurelens.assess.agreement import linear_cka
from featurelens.assess.probe_linear import linear_probe
from featurelens.assess.retrieval import retrieval
from featurelens.assess.significance import holm, paired
from featurelens.backbone.torch_backbone import TorchBackbone
from featurelens.errors import InvalidInput
from featurelens.features.extract import extract
from featurelens.features.sources import Source, sources
from featurelens.features.table import Features
from featurelens.see.depths import stage_layers

Advance = Callable[..., None]
Kept = dict[str, tuple[Features, Features]]


def taken(images: Path, only: Sequence[str] | None) -> list[Source]:
    """The labelled images of a folder, or those of them that are listed; InvalidInput where none is left."""
    found = [one for one in sources(images, None, stamped=False) if one.label]
    if only is not None:
        wanted = set(only)
        found = [one for one in found if one.id in wanted]
    if len({one.label for one in found}) < 2:
        raise InvalidInput(
            f"{images} has {len(found)} labelled images{' among those listed' if only is not None else ''} of fewer "
            "than two classes; probe and retrieval need two. Give class folders, or a metadata.csv."
        )
    return found


def both(
    images: list[Source], nets: Sequence[TorchBackbone], advance: Advance, layers: list[str] | None
) -> Any:
    """Both networks' features of the images that both can embed, with labels."""
    paths = [one.image for one in images]
    labels = [one.label for one in images]
    return [
        extract(
            paths, net, layers=layers, labels=labels, on_progress=lambda p: advance(p.done, p.total, p.failed)
        )
        for net in nets
    ]


def measured(
    images: list[Source], before: TorchBackbone, after: TorchBackbone, *, seed: int, on_progress: Advance
) -> tuple[list[dict[str, Any]], int]:
    """Probe and retrieval of both, with the interval of the difference and Holm's p over them."""
    first, second = same_rows(*both(images, (before, after), on_progress, None))
    sets = [
        [linear_probe(f.vectors, f.labels or (), seed=seed), *_of(retrieval(f.vectors, f.labels or ()))]
        for f in (first, second)
    ]
    pairs = [(a, b) for a, b in zip(*sets, strict=True) if a.defined and b.defined]
    tests = holm([replace(paired(b, a, seed=seed), measure=a.name) for a, b in pairs])
    return [
        {
            "name": a.name,
            "before": a.value,
            "before_interval": a.interval,
            "after": b.value,
            "after_interval": b.interval,
            "difference": test.difference,
            "interval": test.interval,
            "p": test.p,
            "chance": a.chance,
        }
        for (a, b), test in zip(pairs, tests, strict=True)
    ], len(first)


def _of(found: Any) -> list[Any]:
    return [found[name] for name in ("mAP", "precision@1") if name in found]


def same_rows(first: Features, second: Features) -> tuple[Features, Features]:
    """Both restricted to the images that gave a vector in each."""
    common = set(first.ids) & set(second.ids)
    return tuple(f.select([i for i, one in enumerate(f.ids) if one in common]) for f in (first, second))  # pyright: ignore


def cka_by_layer(
    images: list[Source], before: TorchBackbone, after: TorchBackbone, *, seed: int, on_progress: Advance
) -> tuple[list[dict[str, Any]], Kept]:
    """Linear CKA of each stage before and after (1: nothing changed but scale and turn), and the pooled features."""
    names = stage_layers(before, most=8)
    there = {name for name, _ in after.module.named_modules()}
    shared = [name for name in names if name in there]
    if not shared:
        raise InvalidInput(
            f"'{before.spec.name}' and '{after.spec.name}' have no layer of the same name; before and after must be "
            "the same architecture."
        )
    first, second = both(images, (before, after), on_progress, shared)
    kept = {name: same_rows(first[name], second[name]) for name in shared}
    rows = []
    for name, (a, b) in kept.items():
        cka = linear_cka(a.vectors, b.vectors, interval=True, seed=seed)
        interval = None if cka.interval is None else [max(0.0, cka.interval[0]), min(1.0, cka.interval[1])]
        rows.append({"layer": name, "cka": cka.value, "interval": interval, "chance": cka.chance})
    return rows, kept


def changed_units(kept: Kept, count: int) -> list[tuple[str, int, float]]:
    """The units of the last stage whose answers to the images correlate least before and after, with that correlation."""
    if not count:
        return []
    layer, (a, b) = list(kept.items())[-1]
    x, y = (f.vectors - f.vectors.mean(0) for f in (a, b))
    size = np.sqrt((x**2).sum(0) * (y**2).sum(0))
    alive = (x.std(0) > np.median(x.std(0))) & (y.std(0) > np.median(y.std(0)))
    correlation = np.where(alive, (x * y).sum(0) / np.where(size > 0, size, 1.0), np.inf)
    order = np.argsort(correlation, kind="stable")[:count]
    return [(layer, int(unit), float(correlation[unit])) for unit in order if np.isfinite(correlation[unit])]
