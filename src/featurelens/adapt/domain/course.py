"""What learns from both domains: a linear map behind extracted features, or the last stages of a network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from featurelens.adapt.classifier import Classifier, with_classes
from featurelens.adapt.domain.adapting import Adapting
from featurelens.adapt.domain.recolour import Affine
from featurelens.adapt.domain.source_head import LinearHead
from featurelens.adapt.finetune import plan_for
from featurelens.adapt.lessons import Lessons, Photos, Rows
from featurelens.adapt.plan import Plan, make_plan
from featurelens.adapt.stages import HEAD, Stage
from featurelens.adapt.tuning import Tuning
from featurelens.backbone.torch_backbone import TorchBackbone
from featurelens.shapes import Float32, Int64

MAP_RATE, HEAD_RATE = 2e-4, 2e-3


@dataclass(frozen=True, eq=False)
class Domains:
    """Rows of both domains: the source's `teach` and `held` rows with `codes`, then `count` target rows.

    A lesson's row number n + i is target image i, where n is the number of source images. `known` are the target's
    class numbers (-1: unknown); nothing learns from them.
    """

    codes: Int64[np.ndarray, "n"]
    classes: int
    teach: Int64[np.ndarray, "a"]
    held: Int64[np.ndarray, "b"]
    known: Int64[np.ndarray, "m"]
    ids: Sequence[str]

    @property
    def target(self) -> Int64[np.ndarray, "m"]:
        """The lesson numbers of the target images."""
        return np.arange(len(self.codes), len(self.codes) + len(self.known), dtype=np.int64)


@dataclass(frozen=True, eq=False)
class Both:
    """A course on two domains: `features` of a batch, `logits` of features, what learns by which plan.

    `scale` brings features to unit variance in the mean, which is what the methods' losses are made for.
    """

    module: nn.Module
    features: Callable[[Tensor], Tensor]
    logits: Callable[[Tensor], Tensor]
    plan: Plan
    tuning: Tuning
    lessons: Lessons
    domains: Domains
    scale: float
    dim: int
    device: torch.device


class Adapter(nn.Module):
    """rows + rows · W + b, at first the identity, and a linear classifier."""

    def __init__(self, head: nn.Linear) -> None:
        super().__init__()
        self.map = nn.Linear(head.in_features, head.in_features)
        nn.init.zeros_(self.map.weight)
        nn.init.zeros_(self.map.bias)
        self.head = head

    def forward(self, rows: Tensor) -> Tensor:
        return rows + self.map(rows)


def on_features(
    source: Float32[np.ndarray, "n dim"], target: Float32[np.ndarray, "m dim"], head: LinearHead, domains: Domains,
    adapting: Adapting, *, device: Any = "cpu",
) -> Both:  # fmt: skip
    """The course of a linear map on unit rows of both domains, from the identity and the source's classifier."""
    lessons = Rows(np.concatenate([source, target]), domains.teach, device=device)
    module = Adapter(head.on(lessons)).to(device)
    rate = MAP_RATE if adapting.lr is None else adapting.lr
    fast = max(rate, HEAD_RATE)
    tuning = adapting.tuning(
        plan="full", lr=fast, decay=rate / fast
    )  # the map stands one stage below the head
    parts = [Stage("map", ("map.weight", "map.bias")), Stage(HEAD, ("head.weight", "head.bias"))]
    plan = make_plan(module, parts, tuning)
    dim = source.shape[1]
    return Both(
        module, module, module.head, plan, tuning, lessons, domains, float(np.sqrt(dim)), dim, torch.device(device)
    )  # fmt: skip


def learnt_map(both: Both, state: dict[str, Tensor]) -> tuple[Affine, LinearHead]:
    """What an `on_features` course has learnt, on unit rows: z + s · map((z − c) / s), and the classifier."""
    rows: Any = both.lessons
    centre = rows.centre.cpu().numpy().astype(np.float64)
    weight, bias = (state[f"map.{name}"].double().cpu().numpy() for name in ("weight", "bias"))
    matrix = np.eye(len(bias)) + weight.T
    shift = rows.scale * bias - centre @ weight.T
    head = LinearHead.off(state["head.weight"].cpu(), state["head.bias"].cpu(), rows)
    return Affine(matrix.astype(np.float32), shift.astype(np.float32)), head


def on_network(
    net: TorchBackbone, images: Sequence[Any], rows: Float32[np.ndarray, "n dim"], head: LinearHead, domains: Domains,
    adapting: Adapting,
) -> tuple[Both, Classifier]:  # fmt: skip
    """The course of the network's last stages on photos of both domains; `rows` are the source's raw features.

    `head` takes raw rows here.
    """
    tuning = adapting.tuning(plan="last")
    classifier = with_classes(net, domains.classes, seed=adapting.seed)
    linear: Any = classifier.head
    with torch.no_grad():
        linear.weight.copy_(torch.from_numpy(head.weight))
        linear.bias.copy_(torch.from_numpy(head.bias))
    backbone = classifier.backbone
    lessons = Photos(images, domains.ids, backbone, area=adapting.area, flip=adapting.flip)
    spread = float(rows.astype(np.float64).var(0).mean()) ** 0.5 or 1.0

    def features(x: Tensor) -> Tensor:
        return backbone.pool(backbone.forward_features(x))

    both = Both(
        classifier.module, features, classifier.head, plan_for(classifier, tuning), tuning, lessons, domains,
        1 / spread, net.spec.dim, backbone.device,
    )  # fmt: skip
    return both, replace(classifier)
