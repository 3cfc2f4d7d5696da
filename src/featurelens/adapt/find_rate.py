"""The learning-rate range test: raise the rate until the loss runs away, and take one well below (Smith 2017)."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import nn

from featurelens.adapt.memory import enough_memory, smaller_batch
from featurelens.adapt.mixing import losses, soft_targets
from featurelens.adapt.plan import apply_plan
from featurelens.adapt.training import Course, make_optimizer
from featurelens.adapt.tuning import Tuning

LOW, HIGH = 1e-6, 1.0


@dataclass(frozen=True)
class RateTest:
    """The rates of the head that were tried, the smoothed loss at each, and the one to take.

    `suggested` is a tenth of the rate at which the loss was least.
    """

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    suggested: float


def find_rate(
    course: Course,
    tuning: Tuning,
    *,
    steps: int = 60,
    on_step: Callable[[int, int], object] = lambda done, total: None,
) -> RateTest:
    """Learn for `steps` batches with a rate that grows from 1e-6 to 1, and put the network back, also after an error."""
    before = copy.deepcopy(course.module.state_dict())
    every = replace(
        course.plan, groups=tuple(replace(g, start=0 if g.trainable else None) for g in course.plan.groups)
    )
    try:
        optimizer = make_optimizer(every.param_groups(course.module), tuning)
        apply_plan(every, course.module, 0, batch_norm=tuning.batch_norm)
        teach, random = course.division.teach, np.random.default_rng(tuning.seed)
        drawn = [
            int(i)
            for _ in range(-(-steps * tuning.batch_size // len(teach)))
            for i in random.permutation(teach)
        ]
        order = [drawn[i * tuning.batch_size : (i + 1) * tuning.batch_size] for i in range(steps)]
        rates, smooth, total = [], [], 0.0
        codes = torch.from_numpy(course.codes).to(course.device)
        with (
            torch.random.fork_rng(devices=[]),
            enough_memory(tuning.batch_size, smaller_batch(tuning.batch_size, tuning.accumulate)),
        ):
            torch.manual_seed(tuning.seed)
            source = lambda number: torch.Generator().manual_seed(number)  # noqa: E731
            for step, x in enumerate(course.lessons.batches(order, source)):
                rate = LOW * (HIGH / LOW) ** (step / (steps - 1))
                for group in optimizer.param_groups:
                    group["lr"] = rate * group["initial_lr"] / tuning.rate
                rows = torch.tensor(order[step], device=course.device)
                loss = losses(
                    course.forward(x), soft_targets(codes[rows], course.classes, smoothing=tuning.smoothing)
                ).mean()
                if not math.isfinite(loss.item()):
                    break
                total = 0.9 * total + 0.1 * loss.item()
                rates.append(rate)
                smooth.append(total / (1 - 0.9 ** (step + 1)))
                if smooth[-1] > 4 * min(smooth):
                    break
                loss.backward()
                nn.utils.clip_grad_norm_(course.module.parameters(), tuning.clip or float("inf"))
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
                on_step(step + 1, steps)
    finally:
        course.module.load_state_dict(before)
        course.module.zero_grad(set_to_none=True)
        course.module.eval()
    return RateTest(tuple(rates), tuple(smooth), rates[int(np.argmin(smooth))] / 10 if rates else LOW)
