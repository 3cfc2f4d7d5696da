"""Fine-tuning: a labelled folder and a backbone become a backbone for these classes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from featurelens.adapt.classifier import Classifier, with_classes
from featurelens.adapt.division import Division, codes_of, divide
from featurelens.adapt.frozen_features import FrozenFeatures, frozen_features
from featurelens.adapt.lessons import Photos, Rows
from featurelens.adapt.lora import add_lora, merge_lora
from featurelens.adapt.plan import Plan, apply_plan, make_plan
from featurelens.adapt.scores import score
from featurelens.adapt.stages import HEAD, Stage, stages
from featurelens.adapt.training import SAVE_SECONDS, Course, Tell, predict, train
from featurelens.adapt.tuned import Tuned
from featurelens.adapt.tuning import RATES, Tuning
from featurelens.adapt.unchanged import check_unchanged, fingerprints
from featurelens.backbone.protocol import Backbone
from featurelens.backbone.torch_backbone import TorchBackbone
from featurelens.backbone.weights import bytes_of
from featurelens.errors import InvalidInput
from featurelens.features.progress import OnProgress
from featurelens.features.sources import sources
from featurelens.shapes import Float32, Int64


def finetune(
    images: Any,
    backbone: Backbone,
    tuning: Tuning | None = None,
    *,
    out: str | Path | None = None,
    store: str | Path | None = None,
    labels: Sequence[str] | None = None,
    division: Division | None = None,
    save_seconds: float = SAVE_SECONDS,
    keep_going: Callable[[], bool] = lambda: True,
    on_features: OnProgress | None = None,
    on_step: Tell = lambda done, total, epoch: None,
) -> Tuned:
    """Teach a copy of `backbone` (on torch) the classes of `images`: what `extract` takes, with labels.

    The features of all images are extracted once; a head learns on them, and with any plan but "frozen" the
    network goes on learning from there, on augmented images. In `out` features (or in `store`, which runs may
    share) and checkpoints are kept: the same call goes on after a stop or a kill and ends with the same weights.
    `division` replaces `tuning.split`. Where `keep_going()` says no it saves and raises KeyboardInterrupt. Raises
    InvalidInput (fewer than two classes, a class with nothing to learn from, no readable image), BackboneError,
    TrainingDiverged, OutOfMemory, FrozenChanged.

    >>> from featurelens import load_backbone  # doctest: +SKIP
    >>> net = load_backbone("resnet18", engine="torch")  # doctest: +SKIP
    >>> finetune("photos", net, Tuning(plan="last"), out="run").save("run")  # doctest: +SKIP
    """
    tuning, net = tuning or Tuning(), on_torch(backbone)
    folder = None if out is None else Path(out)
    place = Path(store) if store else folder / "features" if folder else None
    features = frozen_features(images, net, labels=labels, store=place, on_progress=on_features)
    codes, classes = codes_of(features.labels, folder=_where(images))
    if division is None:
        division = divide(features.ids, codes, classes, split=tuning.split, seed=tuning.seed)
    classifier = with_classes(net, len(classes), seed=tuning.seed)
    about = {"backbone": net.spec.fingerprint, "images": _digest(features, division)}
    only_head = tuning if tuning.plan == "frozen" else _for_head(tuning)
    heads = _head_course(classifier, features, codes, len(classes), division, only_head)
    test, wanted = division.test.tolist(), codes[division.test]
    options: dict[str, Any] = {"save_seconds": save_seconds, "keep_going": keep_going}
    if tuning.plan == "frozen":
        plan = plan_for(classifier, tuning)
        apply_plan(plan, classifier.module, 0)
        frozen = fingerprints(classifier.module)
        history = train(heads, tuning, folder, about=about, on_step=on_step, **options)
        logits = _settle(heads, classifier, test, tuning)
        head = score(logits, wanted)
        check_unchanged(frozen, classifier.module)
    else:
        head = None
        if tuning.head_epochs:
            train(heads, only_head, keep_going=keep_going)
            head = score(_settle(heads, classifier, test, only_head), wanted)
        of = {one.id: one.image for one in sources(images, labels, stamped=False)}
        photos = [of[one] for one in features.ids]
        course = _network_course(classifier, photos, features.ids, codes, len(classes), division, tuning)
        about |= {"head": _weights_digest(classifier.head)}
        history = train(course, tuning, folder, about=about, on_step=on_step, **options)
        merge_lora(classifier.module)
        logits, plan = predict(course, test, tuning), course.plan
    classifier.module.requires_grad_(True).eval()
    classifier.module.class_names = list(classes)  # pyright: ignore[reportArgumentType]
    tuned = replace(classifier, backbone=net.with_module(classifier.module))
    return Tuned(
        classifier=tuned,
        classes=classes,
        plan=plan,
        tuning=tuning,
        history=tuple(history),
        scores=score(logits, wanted),
        head=head,
        logits=logits,
        teach=tuple(features.ids[i] for i in division.teach),
        test=tuple(features.ids[i] for i in division.test),
        test_codes=tuple(wanted.tolist()),
        rule=division.rule,
        skipped=features.skipped,
        unlabelled=int((codes < 0).sum()),
        source=net.spec.name,
    )


def plan_for(classifier: Classifier, tuning: Tuning) -> Plan:
    """The plan of `tuning` for this network; for "lora" its layers are changed (once) to hold both matrices."""
    found = stages(classifier.module, classifier.names, by=tuning.decay_by)
    if tuning.plan == "lora":
        add_lora(
            classifier.module, rank=tuning.rank, alpha=tuning.alpha, skip=classifier.names, seed=tuning.seed
        )
    return make_plan(classifier.module, found, tuning)


def dry_run(backbone: Backbone, classes: int, tuning: Tuning) -> Plan:
    """The plan alone, on a copy: what would learn, at which rates."""
    classifier = with_classes(on_torch(backbone), classes, seed=tuning.seed)
    plan = plan_for(classifier, tuning)
    apply_plan(plan, classifier.module, 0, batch_norm=tuning.batch_norm)
    return plan


def rate_course(
    images: Any,
    backbone: Backbone,
    tuning: Tuning,
    *,
    out: Path | None = None,
    on_features: OnProgress | None = None,
) -> Course:
    """What `find_rate` takes: the course that `finetune` would begin, with a head that knows nothing yet."""
    net = on_torch(backbone)
    features = frozen_features(images, net, store=out / "features" if out else None, on_progress=on_features)
    codes, classes = codes_of(features.labels, folder=_where(images))
    division = divide(features.ids, codes, classes, split=tuning.split, seed=tuning.seed)
    classifier = with_classes(net, len(classes), seed=tuning.seed)
    if tuning.plan == "frozen":
        return _head_course(classifier, features, codes, len(classes), division, tuning)
    of = {one.id: one.image for one in sources(images, None, stamped=False)}
    photos = [of[one] for one in features.ids]
    return _network_course(classifier, photos, features.ids, codes, len(classes), division, tuning)


def on_torch(backbone: Any) -> TorchBackbone:
    """The backbone, if it runs on torch; InvalidInput says how to load one that does."""
    if isinstance(backbone, TorchBackbone):
        return backbone
    name = getattr(getattr(backbone, "spec", None), "name", type(backbone).__name__)
    raise InvalidInput(
        f"'{name}' cannot learn: it does not run on torch. Load a timm or torchvision network, or a bundle that "
        "holds its weights, with load_backbone(name, engine='torch')."
    )


def _for_head(tuning: Tuning) -> Tuning:
    """How the head learns before the network does: as the plan "frozen" would."""
    plain: dict[str, Any] = {"mixup": 0.0, "cutmix": 0.0, "patience": 0, "ema": 0.0}
    return replace(tuning, plan="frozen", epochs=max(1, tuning.head_epochs), lr=RATES["frozen"], **plain)


def _settle(
    course: Course, classifier: Classifier, test: list[int], tuning: Tuning
) -> Float32[np.ndarray, "n target"]:
    """Put what the head learnt into the network; returns its scores of the test images."""
    logits = predict(course, test, tuning)
    if course.module is not classifier.head:
        course.lessons.into(classifier.head, course.module)  # pyright: ignore[reportAttributeAccessIssue]
    return logits


def _head_course(
    classifier: Classifier,
    features: FrozenFeatures,
    codes: Int64[np.ndarray, "n"],
    classes: int,
    division: Division,
    tuning: Tuning,
) -> Course:
    device = classifier.backbone.device
    plain = type(classifier.head) is nn.Linear
    lessons = Rows(features.rows, division.teach, device=device, scaled=plain)
    head: nn.Module = classifier.head
    if plain:
        head = nn.Linear(features.rows.shape[1], classes).to(device)
        nn.init.zeros_(head.weight)
        nn.init.zeros_(head.bias)
    names = tuple(name for name, _ in head.named_parameters())
    plan = make_plan(head, [Stage(HEAD, names)], tuning)
    return Course(head, head, plan, lessons, codes, classes, division, features.ids, device)


def _network_course(
    classifier: Classifier, images: Sequence[Any], ids: Sequence[str], codes: Int64[np.ndarray, "n"], classes: int,
    division: Division, tuning: Tuning,
) -> Course:  # fmt: skip
    plan = plan_for(classifier, tuning)
    lessons = Photos(images, ids, classifier.backbone, area=tuning.area, flip=tuning.flip)
    device = classifier.backbone.device
    return Course(classifier.module, classifier.logits, plan, lessons, codes, classes, division, ids, device)


def _digest(features: FrozenFeatures, division: Division) -> str:
    """Of all that decides what is learnt from: names, labels, division, and what the images show."""
    told = [features.ids, features.labels, division.teach.tolist(), division.test.tolist()]
    digest = hashlib.sha256(json.dumps(told).encode())
    digest.update(features.rows.tobytes())
    return digest.hexdigest()[:16]


def _weights_digest(head: nn.Module) -> str:
    digest = hashlib.sha256()
    for value in head.state_dict().values():
        digest.update(bytes_of(value))
    return digest.hexdigest()[:16]


def _where(images: Any) -> str:
    return str(images) if isinstance(images, str | Path) else "the list"
