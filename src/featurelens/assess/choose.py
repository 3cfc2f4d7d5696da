"""Several backbones on one folder of images: one cached pass each, then one study."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from featurelens.assess.background import background_predicts, border
from featurelens.assess.extraction import Job, extract_apart
from featurelens.assess.findings import Findings, findings
from featurelens.assess.result import Measure
from featurelens.assess.stability import stability_of
from featurelens.assess.study import Cost, Study, study
from featurelens.assess.sweep import Choice, sweep
from featurelens.backbone.protocol import Backbone
from featurelens.errors import FeaturelensError, InvalidInput
from featurelens.features.table import Features
from featurelens.images.decode import decode
from featurelens.images.fit import Fit
from featurelens.shapes import UInt8

Say = Callable[[str], None]
Harm = Mapping[tuple[str, float], Mapping[str, Measure]]


@dataclass(frozen=True)
class Choosing:
    """All that a report shows: the study, the best one's findings and stability, a sweep, what failed."""

    images: Path
    study: Study
    findings: Findings
    stability: Harm
    sweep: tuple[Choice, ...]
    failed: Mapping[str, str]
    skipped: tuple[tuple[str, str], ...]


def parse(name: str, images: Path, *, pooling: str | None, size: int | None, device: str) -> Job:
    """A backbone as typed: its name, `random:NAME` for random weights, or `NAME=FILE` for local weights."""
    plain, pretrained, weights = name, True, None
    if plain.startswith("random:"):
        plain, pretrained = plain.removeprefix("random:"), False
    head, equals, file = plain.rpartition("=")
    if equals and Path(file).is_file():
        plain, weights = head, str(Path(file).resolve())
    return Job(str(images.resolve()), plain, pooling, size, device, pretrained, weights)


def choose(
    images: Path,
    backbones: Sequence[str],
    *,
    layers: Sequence[str] = (),
    pooling: Sequence[str] = (),
    size: int | None = None,
    device: str = "auto",
    split: str = "folds",
    stable: int = 200,
    cache: Path | None = None,
    seed: int = 0,
    say: Say | None = None,
    on_progress: Callable[[str, int, int], None] | None = None,
) -> Choosing:
    """Assess backbones on a folder of images (class folders or metadata give the labels).

    Each backbone is one pass in a process of its own, kept in `cache` (default: inside the folder's
    `.featurelens`) and resumed. One that fails is named in `failed` and stops nothing. `layers` and
    `pooling` add a sweep over the best backbone; `stable` images (0: none) measure its stability. Raises
    InvalidInput for a missing folder or no backbone, BackboneError when every backbone fails.
    """
    tell = say or (lambda text: None)
    if not images.is_dir():
        raise InvalidInput(f"There is no folder {images}. Give a folder of images.")
    if not backbones or len(set(backbones)) != len(backbones):
        raise InvalidInput(f"backbones={list(backbones)}: give at least one, and each only once.")
    cache = cache or images / ".featurelens" / "assess"
    sets: dict[str, Features] = {}
    costs: dict[str, Cost] = {}
    failed: dict[str, str] = {}
    problem: FeaturelensError | None = None
    for name in backbones:
        job = parse(name, images, pooling=None, size=size, device=device)
        try:
            sets[name], costs[name] = extract_apart(
                job, cache, on_progress=None if on_progress is None else _named(on_progress, name)
            )
        except FeaturelensError as error:
            failed[name], problem = str(error), error
            tell(str(error))
    if not sets:
        assert problem is not None
        raise problem
    found = study(sets, costs=costs, split=split, seed=seed, on_progress=lambda n: tell(f"Measuring {n}"))
    best = found[found.best]
    features = best.features
    background = None
    if features.labels is not None and any(features.labels):
        tell("Looking for label problems and telling backgrounds")
        background = background_predicts(border(small(images, features.ids, 64)), features.labels, seed=seed)
    choices: tuple[Choice, ...] = ()
    harm: Harm = {}
    job = parse(found.best, images, pooling=None, size=size, device=device)
    if layers or pooling:
        tell(f"Trying layers and poolings of {found.best}")
        choices = tuple(sweep(images, _load(job, "torch" if layers else "auto"), layers, pooling, seed=seed))
    if stable:
        tell(f"Measuring the stability of {found.best}")
        harm = _stability(images, features, _load(job, "auto"), stable, seed)
    skipped = next(iter(sets.values())).skipped
    return Choosing(
        images, found, findings(best, background=background, seed=seed), harm, choices, failed, skipped
    )


def small(images: Path, ids: Sequence[str], side: int) -> UInt8[np.ndarray, "n side side 3"]:
    """Every image squeezed to a small square (frames keep their colours, not their shape)."""
    fit = Fit(side, side, mode="squash", interpolation="bilinear")
    return np.stack([decode(images / name, fit=fit).pixels for name in ids])


def _named(call: Callable[[str, int, int], None], name: str) -> Callable[[int, int], None]:
    return lambda done, total: call(name, done, total)


def _load(job: Job, engine: str) -> Backbone:
    from featurelens.backbone import load_backbone

    return load_backbone(
        job.name,
        engine="torch" if engine == "torch" else "auto",
        device=job.device,
        pretrained=job.pretrained,
        weights=Path(job.weights) if job.weights else None,
        size=job.size,
    )


def _stability(images: Path, features: Features, backbone: Backbone, count: int, seed: int) -> Harm:
    rows = np.random.default_rng(seed).permutation(len(features))[:count]
    rows.sort()
    ids = [features.ids[i] for i in rows]
    pixels = np.stack([decode(images / name, fit=backbone.spec.fit).pixels for name in ids])
    labels = None if features.labels is None else [features.labels[i] for i in rows]
    return stability_of(pixels, backbone.embed, ids=ids, labels=labels, seed=seed)
