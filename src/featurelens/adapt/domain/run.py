"""From two folders and a backbone to a backbone for the second folder's kind of image."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from featurelens.adapt.division import codes_of, divide
from featurelens.adapt.domain.adapting import Adapting
from featurelens.adapt.domain.candidates import (
    Candidate,
    Given,
    allowed,
    closed,
    is_closed,
    learnt,
    unadapted,
    unit,
)
from featurelens.adapt.domain.change import change
from featurelens.adapt.domain.course import Domains
from featurelens.adapt.domain.outcome import Adapted, warnings_of
from featurelens.adapt.domain.source_head import LinearHead, teach_head
from featurelens.adapt.domain.teach import Checkpoint, Tell
from featurelens.adapt.frozen_features import FrozenFeatures, frozen_features
from featurelens.adapt.scores import score
from featurelens.backbone.fused import FusedBackbone
from featurelens.backbone.protocol import Backbone
from featurelens.backbone.recoloured import Recoloured, recoloured, unfilled
from featurelens.backbone.torch_backbone import TorchBackbone
from featurelens.errors import InvalidInput
from featurelens.features.progress import OnProgress
from featurelens.features.sources import sources
from featurelens.shapes import Int64

LEAST = 8
"""Target images below which there is nothing to adapt to."""


def adapt_domain(
    source: Any,
    target: Any,
    backbone: Backbone,
    adapting: Adapting | None = None,
    *,
    out: str | Path | None = None,
    source_store: str | Path | None = None,
    target_store: str | Path | None = None,
    source_labels: Sequence[str] | None = None,
    target_labels: Sequence[str] | None = None,
    keep_going: Callable[[], bool] = lambda: True,
    on_features: OnProgress | None = None,
    on_step: Tell = lambda method, done, total, epoch: None,
) -> Adapted:
    """Adapt a copy of `backbone` from the labelled images `source` to the images `target`, whose labels are not used.

    Both are what `extract` takes. Target labels, where there are any, only measure. In `out` features and finished
    epochs are kept (features in `source_store`, `target_store` where given), and the same call goes on there.
    Where `keep_going()` says no it raises KeyboardInterrupt. Raises InvalidInput (no labels or one class in the
    source, fewer than eight target images, a method that this backbone does not allow), TrainingDiverged, OutOfMemory.

    >>> from featurelens import load_backbone
    >>> random = np.random.default_rng(0)
    >>> photos = random.integers(0, 120, (24, 64, 64, 3), dtype=np.uint8) + np.uint8(100) * (np.arange(24) % 2)[:, None, None, None].astype(np.uint8)
    >>> kinds = ["dark", "light"] * 12
    >>> found = adapt_domain(photos, photos // 2, load_backbone("classic:colour"), Adapting(methods="coral"), source_labels=kinds)
    >>> found.method, found.logits.shape
    ('coral', (24, 2))
    """  # noqa: E501
    adapting = adapting or Adapting()
    if isinstance(getattr(backbone, "module", None), Recoloured):
        unfilled(backbone, 2)  # pyright: ignore[reportArgumentType]  (raises, before any work)
    folder = None if out is None else Path(out)
    places = [
        Path(given) if given else folder / side if folder else None
        for side, given in (("source", source_store), ("target", target_store))
    ]
    first = frozen_features(source, backbone, labels=source_labels, store=places[0], on_progress=on_features)
    codes, classes = codes_of(first.labels, folder="the source", what="Domain adaptation")
    second = frozen_features(target, backbone, labels=target_labels, store=places[1], on_progress=on_features)
    if len(second.ids) < LEAST:
        raise InvalidInput(
            f"The target has {len(second.ids)} readable image{'s' * (len(second.ids) != 1)}; adapting to a domain takes "
            f"{LEAST} or more (better a hundred). Give more images of that kind."
        )
    known, unlike = _target_codes(second.labels, classes)
    division = divide(first.ids, codes, classes, split=adapting.split, seed=adapting.seed)
    if adapting.criterion == "validation" and len(division.test) < 2:
        raise InvalidInput("The criterion 'validation' needs held-out source images; leave out split='none'.")
    ids = [f"source: {one}" for one in first.ids] + [f"target: {one}" for one in second.ids]
    domains = Domains(codes, len(classes), division.teach, division.test, known, ids)
    network = adapting.depth == "network"
    rows, others = unit(first.rows), unit(second.rows)
    options: dict[str, Any] = {"ids": first.ids, "keep_going": keep_going}
    head = teach_head(rows, codes, len(classes), division, adapting, **options)
    images = [*_images(source, source_labels, first), *_images(target, target_labels, second)]
    given = Given(backbone, first, second, rows, others, images, domains, head)
    methods = allowed(adapting.listed, backbone) if adapting.auto else adapting.listed
    about = adapting.to_json() | {
        "backbone": backbone.spec.fingerprint,
        "images": _digest(first, second, division.teach),
    }
    about.pop("methods")  # each has a checkpoint of its own
    plain = unadapted(given)
    found = [plain]
    raw: LinearHead | None = None
    for method in methods:
        if not keep_going():
            raise KeyboardInterrupt
        if is_closed(method):
            found.append(closed(method, given, adapting))
            continue
        now = given
        if network:
            raw = raw or teach_head(first.rows, codes, len(classes), division, adapting, **options)
            now = Given(backbone, first, second, rows, others, images, domains, raw)
        where = None if folder is None else folder / "epochs"
        found.append(
            learnt(method, now, adapting, out=where, about=about, keep_going=keep_going, on_step=on_step)
        )
    chosen = max(
        found if adapting.auto else found[1:], key=lambda one: _value(one.figures, adapting.criterion)
    )
    tried = [plain.figures, *(f for one in found[1:] for f in (one.history or (one.figures,)))]
    labelled = known >= 0
    right = [(one.logits.argmax(1) == known)[labelled] for one in (plain, chosen)]
    moved = change(*right) if labelled.any() else None
    best = max(tried, key=lambda one: one.target_accuracy or 0.0) if labelled.any() else None
    return Adapted(
        backbone=made(chosen, backbone, classes),
        classes=classes,
        adapting=adapting,
        chosen=chosen,
        unadapted=plain,
        tried=tuple(tried),
        before=score(plain.logits[labelled], known[labelled]),
        after=score(chosen.logits[labelled], known[labelled]),
        change=moved,
        best_known=best,
        warnings=warnings_of(adapting, plain, chosen, moved, unlike=unlike, few=len(second.ids)),
        source_ids=first.ids,
        target_ids=second.ids,
        source_codes=codes,
        target_codes=known,
        skipped=first.skipped + second.skipped,
        rule=division.rule,
        origin=backbone.spec.name,
    )


def made(chosen: Candidate, backbone: Any, classes: Sequence[str]) -> Any:
    """The candidate as a Backbone: on torch with its classifier, else the given one with the map behind it."""
    if chosen.classifier is not None:
        found = chosen.classifier.backbone
        found.module.class_names = list(classes)  # pyright: ignore[reportArgumentType]
        return found
    base = chosen.net or backbone
    if isinstance(base, TorchBackbone):
        inner = base if chosen.net is not None else base.with_module(copy.deepcopy(base.module))
        head = (chosen.head.weight, chosen.head.bias)
        found = recoloured(inner, chosen.affine.matrix, chosen.affine.shift, head)
        found.module.class_names = list(classes)  # pyright: ignore[reportArgumentType]
        return found
    affine = chosen.affine
    digest = hashlib.sha256(affine.matrix.tobytes() + affine.shift.tobytes()).hexdigest()
    name = f"{backbone.spec.name} (adapted)"
    return FusedBackbone([backbone], lambda parts: affine(parts[0]), weights=digest, name=name)


def _value(figures: Checkpoint, criterion: str) -> float:
    found = figures.criteria[criterion]
    return -np.inf if found is None else found


def _target_codes(labels: Sequence[str], classes: Sequence[str]) -> tuple[Int64[np.ndarray, "m"], list[str]]:
    """The target's class numbers, -1 where unknown to the source, and what is to be said about other class sets."""
    number = {name: code for code, name in enumerate(classes)}
    known = np.array([number.get(label, -1) for label in labels], dtype=np.int64)
    named = {label for label in labels if label}
    strange, lacking = sorted(named - set(classes)), sorted(set(classes) - named)
    told = []
    if named and len(strange) == len(named):
        told.append(
            f"None of the target's labels ({_some(strange)}) is a class of the source ({_some(list(classes))}), so no "
            "accuracy can be measured; they are taken as folders without meaning."
        )
    elif strange:
        images = sum(label in set(strange) for label in labels)
        told.append(
            f"{len(strange)} classes of the target ({_some(strange)}, {images} images) are unknown to the source; their "
            "images are called something else, and take no part in the accuracy."
        )
    if named and lacking and len(strange) < len(named):
        told.append(
            f"{len(lacking)} classes of the source ({_some(lacking)}) are missing in the target. Every method here takes "
            "it that both domains hold the same classes, and may force images into these."
        )
    return known, told


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (", …" if len(names) > 3 else "")


def _images(images: Any, labels: Sequence[str] | None, features: FrozenFeatures) -> list[Any]:
    of = {one.id: one.image for one in sources(images, labels, stamped=False)}
    return [of[one] for one in features.ids]


def _digest(first: FrozenFeatures, second: FrozenFeatures, teach: Int64[np.ndarray, "a"]) -> str:
    """Of all that decides what is learnt from: names, the source's labels, its division, and the features."""
    told = hashlib.sha256(json.dumps([first.ids, first.labels, second.ids, teach.tolist()]).encode())
    for one in (first, second):
        told.update(one.rows.tobytes())
    return told.hexdigest()[:16]
