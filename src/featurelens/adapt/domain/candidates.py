"""Every way to adapt that was tried, each with its figures, its scores of the target and what makes it a backbone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from featurelens.adapt.classifier import Classifier
from featurelens.adapt.domain.adabn import adabn, norms_of
from featurelens.adapt.domain.adapting import CLOSED, Adapting
from featurelens.adapt.domain.course import Domains, learnt_map, on_features, on_network
from featurelens.adapt.domain.criteria import measured
from featurelens.adapt.domain.recolour import Affine, identity, recolouring
from featurelens.adapt.domain.source_head import LinearHead
from featurelens.adapt.domain.teach import Checkpoint, Tell, accuracy, teach
from featurelens.adapt.frozen_features import FrozenFeatures
from featurelens.adapt.lessons import Photos
from featurelens.backbone.torch_backbone import TorchBackbone
from featurelens.errors import InvalidInput
from featurelens.shapes import Float32

NONE = "none"


@dataclass(frozen=True, eq=False)
class Given:
    """Both domains as they were embedded: unit rows, raw rows, the images, the source's classifier on unit rows."""

    backbone: Any
    source: FrozenFeatures
    target: FrozenFeatures
    source_rows: Float32[np.ndarray, "n dim"]
    target_rows: Float32[np.ndarray, "m dim"]
    images: Sequence[Any]
    domains: Domains
    head: LinearHead


@dataclass(frozen=True, eq=False)
class Candidate:
    """One adapted network. `target` and `source` are each domain's rows as it sees them, `logits` the target's scores.

    It is made of a network (None: the given one), a map behind it and a classifier, or of a whole `classifier`.
    """

    figures: Checkpoint
    logits: Float32[np.ndarray, "m target"]
    target: Float32[np.ndarray, "m dim"]
    source: Float32[np.ndarray, "n dim"]
    affine: Affine
    head: LinearHead
    net: TorchBackbone | None = None
    classifier: Classifier | None = None
    history: tuple[Checkpoint, ...] = ()


def unadapted(given: Given) -> Candidate:
    """The backbone as it was, with the source's classifier: what every method must beat."""
    rows = given.target_rows
    figures = _figures(NONE, given, given.head(rows), rows)
    unchanged = identity(rows.shape[1])
    return Candidate(figures, given.head(rows), rows, given.source_rows, unchanged, given.head)


def closed(method: str, given: Given, adapting: Adapting) -> Candidate:
    """CORAL or AdaBN: nothing learns. The source is seen by the network as it was, the target by the adapted one."""
    affine, net = identity(given.target_rows.shape[1]), None
    if method == "coral":
        affine = recolouring(given.target_rows, given.source_rows, shrink=adapting.shrink)
        rows = affine(given.target_rows)
    else:
        base = torch_of(given.backbone)
        if base is None:
            raise InvalidInput(
                f"'{given.backbone.spec.name}' does not run on torch, which AdaBN needs; choose coral."
            )
        lessons = Photos(given.images, given.domains.ids, base, area=1.0, flip=0.0)
        own = np.sort(np.random.default_rng(adapting.seed).permutation(len(given.source_rows))[:256])

        def batches(rows: Sequence[int]) -> Iterator[Tensor]:
            return lessons.batches([list(rows[i : i + 64]) for i in range(0, len(rows), 64)])

        mixed = np.random.default_rng(adapting.seed).permutation(given.domains.target).tolist()
        net = adabn(base, lambda: batches(own.tolist()), lambda: batches(mixed))
        rows = unit(_embedded(net, lessons, given.domains.target.tolist()))
    logits = given.head(rows)
    return Candidate(
        _figures(method, given, logits, rows), logits, rows, given.source_rows, affine, given.head, net
    )


def learnt(
    method: str, given: Given, adapting: Adapting, *, out: Path | None, about: dict[str, Any],
    keep_going: Callable[[], bool], on_step: Tell,
) -> Candidate:  # fmt: skip
    """The best epoch, by the criterion, of a method that learns."""
    options: dict[str, Any] = {
        "weight": adapting.weight_of(method), "criterion": adapting.criterion, "most": adapting.most,
        "out": out and out / method, "about": about, "keep_going": keep_going, "on_step": on_step,
    }  # fmt: skip
    n = len(given.source_rows)
    if adapting.depth == "features":
        both = on_features(given.source_rows, given.target_rows, given.head, given.domains, adapting)
        taught = teach(both, method, **options)
        affine, head = learnt_map(both, taught.state)
        rows, source = affine(given.target_rows), affine(given.source_rows)
        return Candidate(taught.best, head(rows), rows, source, affine, head, history=taught.history)
    net = given.backbone
    if not isinstance(net, TorchBackbone):
        raise InvalidInput(
            f"'{net.spec.name}' cannot learn: it does not run on torch. Use depth 'features', or a timm or torchvision "
            "network with engine='torch'."
        )
    both, classifier = on_network(net, given.images, given.source.rows, given.head, given.domains, adapting)
    taught = teach(both, method, **options)
    found = classifier.backbone
    wanted = [*range(n), *given.domains.target.tolist()]
    raw = _embedded(found, both.lessons, wanted)
    with torch.no_grad():
        logits = classifier.head(torch.from_numpy(raw[n:]).to(found.device)).float().cpu().numpy()
    found.module.requires_grad_(True).eval()
    linear: Any = classifier.head
    head = LinearHead(linear.weight.detach().cpu().numpy(), linear.bias.detach().cpu().numpy())
    return Candidate(
        taught.best, logits, unit(raw[n:]), unit(raw[:n]), identity(raw.shape[1]), head,
        classifier=Classifier(net.with_module(found.module), classifier.head, classifier.names), history=taught.history,
    )  # fmt: skip


def allowed(methods: Sequence[str], backbone: Any) -> tuple[str, ...]:
    """Those of the methods that this backbone allows (AdaBN only where there is batch norm on torch)."""

    def fits(method: str) -> bool:
        base = torch_of(backbone) if method == "adabn" else None
        return method != "adabn" or (base is not None and bool(norms_of(base.module)))

    return tuple(method for method in methods if fits(method))


def is_closed(method: str) -> bool:
    """Whether the method needs no learning."""
    return method in CLOSED


def torch_of(backbone: Any) -> TorchBackbone | None:
    """The backbone on torch, the embedded one read out of its file; None for one that is a mere graph."""
    if isinstance(backbone, TorchBackbone):
        return backbone
    if backbone.spec.name != "embedded":
        return None
    from featurelens.adapt.recover import recovered

    network: Any = recovered()
    return TorchBackbone(
        network,
        backbone.spec,
        features=_map_of,
        pool=_pooled,
        identity="embedded",
    )


def unit(rows: Float32[np.ndarray, "n dim"]) -> Float32[np.ndarray, "n dim"]:
    """Rows of length one; a row of zeros stays zero."""
    return (rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)).astype(np.float32)


def _figures(
    method: str, given: Given, logits: Float32[np.ndarray, "m target"], rows: Float32[np.ndarray, "m dim"]
) -> Checkpoint:
    domains, source = given.domains, given.source_rows
    held, known = domains.held, domains.known >= 0
    held_logits = given.head(source[held])
    teach, codes = domains.teach, domains.codes
    criteria = measured(logits, rows, source[teach], codes[teach], source[held], held_logits, codes[held])
    right = accuracy(logits[known], domains.known[known])
    return Checkpoint(method, 0, 0.0, 0.0, criteria, right, accuracy(held_logits, domains.codes[held]), 0.0)


@torch.inference_mode()
def _embedded(net: TorchBackbone, lessons: Any, rows: Sequence[int]) -> Float32[np.ndarray, "n dim"]:
    found = [
        net.pool(net.forward_features(x)).float().cpu().numpy()
        for x in lessons.batches([list(rows[i : i + 32]) for i in range(0, len(rows), 32)])
    ]
    return np.concatenate(found)


def _map_of(module: Any, x: Tensor) -> Any:
    return module.features(x)


def _pooled(module: Any, features: Any) -> Tensor:
    return module.pool(features)
