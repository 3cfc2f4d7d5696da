"""The classifier that is taught on the source's features, and that the target's are judged by."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from featurelens.adapt.division import Division
from featurelens.adapt.domain.adapting import Adapting
from featurelens.adapt.lessons import Rows
from featurelens.adapt.plan import make_plan
from featurelens.adapt.stages import HEAD, Stage
from featurelens.adapt.training import Course, train
from featurelens.adapt.tuning import RATES
from featurelens.shapes import Float32, Int64


@dataclass(frozen=True, eq=False)
class LinearHead:
    """Class scores rows · weightᵀ + bias."""

    weight: Float32[np.ndarray, "target dim"]
    bias: Float32[np.ndarray, "target"]

    def __call__(self, rows: Float32[np.ndarray, "n dim"]) -> Float32[np.ndarray, "n target"]:
        return rows @ self.weight.T + self.bias

    def on(self, lessons: Rows) -> nn.Linear:
        """The same classifier for the centred and scaled rows of `lessons`."""
        made = nn.Linear(self.weight.shape[1], len(self.bias))
        with torch.no_grad():
            made.weight.copy_(torch.from_numpy(self.weight) * lessons.scale)
            made.bias.copy_(torch.from_numpy(self.bias) + torch.from_numpy(self.weight) @ lessons.centre)
        return made

    @classmethod
    def off(cls, weight: Tensor, bias: Tensor, lessons: Any) -> LinearHead:
        """The inverse of `on`."""
        own = weight.double() / lessons.scale
        moved = bias.double() - own @ lessons.centre.double()
        return cls(own.float().numpy(), moved.float().numpy())


def teach_head(
    rows: Float32[np.ndarray, "n dim"], codes: Int64[np.ndarray, "n"], classes: int, division: Division,
    adapting: Adapting, *, ids: tuple[str, ...], keep_going: Callable[[], bool] = lambda: True,
) -> LinearHead:  # fmt: skip
    """A linear classifier on the source's teaching rows, by the loop and the settings of the plan "frozen"."""
    tuning = adapting.tuning(
        plan="frozen", epochs=max(1, adapting.head_epochs), lr=RATES["frozen"], weight_decay=0.05
    )
    lessons = Rows(rows, division.teach)
    head = nn.Linear(rows.shape[1], classes)
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)
    plan = make_plan(head, [Stage(HEAD, ("weight", "bias"))], tuning)
    quiet = replace(division, test=division.test[:0])
    course = Course(head, head, plan, lessons, codes, classes, quiet, ids, torch.device("cpu"))
    train(course, tuning, keep_going=keep_going)
    return LinearHead.off(head.weight.detach(), head.bias.detach(), lessons)
