"""Several backbones on one folder of images: one cached pass each, then one study."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from featurelens.assess.background import background_predicts, border
from featurelens.assess.extraction import Job, extract_apart, job_of
from featurelens.assess.findings import Findings, findings
from featurelens.assess.places import place_for
from featurelens.assess.shift import Shift, shift
from featurelens.assess.splits import check_split
from featurelens.assess.steadiness import Steadiness, overall, steadiness
from featurelens.assess.study import Cost, Study, splits_of, study, with_measures
from featurelens.assess.sweep import Choice, sweep
from featurelens.backbone.protocol import Backbone
from featurelens.errors import FeaturelensError, InvalidInput, MissingExtra
from featurelens.features.table import Features
from featurelens.images.decode import decode
from featurelens.images.fit import Fit
from featurelens.shapes import Float32

Say = Callable[[str], None]
OnProgress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Choosing:
    """All that a report shows: the study, the best one's findings, who is how steady, a sweep, what failed.

    `stability` is by backbone: the best under every harm, the others under each kind's middle level. `shifts` are
    by backbone, to the folder `against`.
    """

    images: Path
    study: Study
    findings: Findings
    stability: Mapping[str, Steadiness]
    sweep: tuple[Choice, ...]
    failed: Mapping[str, str]
    skipped: tuple[tuple[str, str], ...]
    against: Path | None = None
    shifts: Mapping[str, Shift] = field(default_factory=dict)


def choose(
    images: Path,
    backbones: Sequence[str] = ("embedded",),
    *,
    layers: Sequence[str] = (),
    pooling: Sequence[str] = (),
    size: int | None = None,
    device: str = "auto",
    split: str = "folds",
    stable: int = 100,
    against: Path | None = None,
    cache: Path | None = None,
    seed: int = 0,
    say: Say | None = None,
    on_progress: OnProgress | None = None,
) -> Choosing:
    """Assess backbones on a folder of images (class folders or metadata give the labels).

    Each backbone is one pass in a process of its own, kept in `cache` (default: `place_for(images)`) and
    resumed. One that fails is named in `failed` and stops nothing. `layers` (names, or "auto") and `pooling`
    add a sweep over the best backbone, one more pass of it. `stable` images (0: none) measure how steady
    every backbone is under small harms. `against`, a folder of another kind of image, adds how far it lies from this
    one in the features of each backbone. `on_progress` gets what is being done, done and total. Raises
    InvalidInput for a missing folder, no backbone or a split that is none, BackboneError when every backbone
    fails, MissingExtra without scikit-learn.
    """
    tell, step = say or (lambda text: None), on_progress or (lambda what, done, total: None)
    if not images.is_dir():
        raise InvalidInput(f"There is no folder {images}. Give a folder of images.")
    if against is not None and not against.is_dir():
        raise InvalidInput(f"There is no folder {against}. Give a folder of images of another kind.")
    if not backbones or len(set(backbones)) != len(backbones):
        raise InvalidInput(f"backbones={list(backbones)}: give at least one, and each only once.")
    check_split(split)
    if find_spec("sklearn") is None:
        raise MissingExtra("scikit-learn", "lab", "Assessing features")
    cache = cache or place_for(images)
    jobs = {name: job_of(name, images, size=size, device=device) for name in backbones}
    sets, costs, failed = _extracted(jobs, cache, tell, step)
    choices: tuple[Choice, ...] = ()
    swept = partial(_swept, images, cache, layers, pooling, seed, tell, step)
    if len(jobs) == 1 and (layers or pooling):  # a wrong layer is told before the long work
        ((name, job),) = jobs.items()
        choices = swept(name, job, sets[name])
    found = study(sets, costs=costs, split=split, seed=seed, on_progress=lambda n: tell(f"Measuring {n}"))
    best = found[found.best]
    background = None
    pictures = best.features.spec.modality == "image"
    if pictures and best.features.labels is not None and any(best.features.labels):
        tell("Looking for label problems and telling backgrounds")
        background = background_predicts(
            frames(images, best.features.ids),
            best.features.labels,
            splits=splits_of(best.features, split, seed),
            seed=seed,
        )
    if len(jobs) > 1 and (layers or pooling):
        try:
            choices = swept(best.name, jobs[best.name], best.features)
        except FeaturelensError as error:
            failed[f"layers of {best.name}"] = f"Layers and poolings of {best.name}: {error}"
            tell(str(error))
    harmed: dict[str, Steadiness] = {}
    for one in found.assessments if stable and pictures else ():  # harms are done to pictures
        tell(f"Harming images for {one.name}")
        job = jobs[one.name]
        harmed[one.name] = steadiness(
            images,
            one.features,
            partial(_load, job, "auto"),
            count=stable,
            middle=one.name != best.name,
            place=job.folder(cache),
            seed=seed,
            on_progress=partial(step, f"harms {one.name}"),
        )
    shifts = _shifts(found, jobs, against, cache, failed, seed, tell, step) if against else {}
    seen = findings(best, background=background, seed=seed)
    found = with_measures(found, {name: overall(steady) for name, steady in harmed.items()})
    return Choosing(images, found, seen, harmed, choices, failed, _skipped(sets), against, shifts)


def _extracted(
    jobs: Mapping[str, Job], cache: Path, tell: Say, step: OnProgress
) -> tuple[dict[str, Features], dict[str, Cost], dict[str, str]]:
    sets: dict[str, Features] = {}
    costs: dict[str, Cost] = {}
    failed: dict[str, str] = {}
    problem: FeaturelensError | None = None
    for name, job in jobs.items():
        try:
            sets[name], costs[name] = extract_apart(job, cache, on_progress=partial(step, name))
        except FeaturelensError as error:
            failed[name], problem = str(error), error
            tell(str(error))
    if problem is not None and not sets:
        raise problem
    return sets, costs, failed


def _swept(
    images: Path,
    cache: Path,
    layers: Sequence[str],
    pooling: Sequence[str],
    seed: int,
    tell: Say,
    step: OnProgress,
    name: str,
    job: Job,
    own: Features,
) -> tuple[Choice, ...]:
    tell(f"Trying layers and poolings of {name}")
    backbone = _load(job, "torch" if layers else "auto")
    folder, watch = job.folder(cache), partial(step, f"layers {name}")
    return tuple(
        sweep(images, backbone, layers, pooling, own=own, cache=folder, seed=seed, on_progress=watch)
    )


def _shifts(
    found: Study,
    jobs: Mapping[str, Job],
    against: Path,
    cache: Path,
    failed: dict[str, str],
    seed: int,
    tell: Say,
    step: OnProgress,
) -> dict[str, Shift]:
    """How far the images of `against` lie from these, by backbone; one that fails is named in `failed`."""
    shifts: dict[str, Shift] = {}
    for one in found.assessments:
        tell(f"Measuring the shift for {one.name}")
        job = replace(jobs[one.name], images=str(against.resolve()))
        try:
            other, _ = extract_apart(job, cache, on_progress=partial(step, one.name))
            shifts[one.name] = shift(one.features, other, seed=seed)
        except FeaturelensError as error:
            failed[f"shift of {one.name}"] = f"Shift of {one.name}: {error}"
            tell(str(error))
    return shifts


def _skipped(sets: Mapping[str, Features]) -> tuple[tuple[str, str], ...]:
    """The files that some backbone gave no vector for; who, where others could read them."""
    by_file: dict[str, dict[str, str]] = {}
    for name, features in sets.items():
        for file, reason in features.skipped:
            by_file.setdefault(file, {})[name] = reason
    told = []
    for file, reasons in by_file.items():
        everyone = len(reasons) == len(sets)
        told += [(file, next(iter(reasons.values())))] if everyone else []
        told += [] if everyone else [(file, f"{name}: {reason}") for name, reason in reasons.items()]
    return tuple(told)


def frames(images: Path, ids: Sequence[str], *, side: int = 64) -> Float32[np.ndarray, "n d"]:
    """The colours along the outer frame of every image, squeezed to a small square first."""
    fit = Fit(side, side, mode="squash", interpolation="bilinear")
    return np.concatenate([border(decode(images / name, fit=fit).pixels[None]) for name in ids])


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
