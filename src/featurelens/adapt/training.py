"""The loop that learns, from the first batch to the last, in sight; it can be stopped and goes on as if it had not been."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from featurelens.adapt import checkpoints
from featurelens.adapt.average import Average
from featurelens.adapt.chance import own_chance, seed_of
from featurelens.adapt.division import Division
from featurelens.adapt.kept_memory import kept_memory
from featurelens.adapt.lessons import Lessons
from featurelens.adapt.memory import enough_memory, smaller_batch
from featurelens.adapt.mishaps import TrainingDiverged, check_finite
from featurelens.adapt.mixing import balanced, losses, mix, soft_targets
from featurelens.adapt.plan import Plan, apply_plan
from featurelens.adapt.precision import autocast
from featurelens.adapt.schedule import factor, set_rates
from featurelens.adapt.tuning import Tuning
from featurelens.adapt.unchanged import check_unchanged, fingerprints
from featurelens.shapes import Float32, Int64

SAVE_SECONDS = 20.0


@dataclass(frozen=True, eq=False)
class Course:
    """What learns (`module`, through `forward`), by which plan, from which lessons, towards which class numbers."""

    module: nn.Module
    forward: Callable[[Tensor], Tensor]
    plan: Plan
    lessons: Lessons
    codes: Int64[np.ndarray, "image"]
    classes: int
    division: Division
    ids: Sequence[str]
    device: torch.device


@dataclass(frozen=True)
class Epoch:
    """One epoch: mean loss on the teaching images; loss and accuracy on the test images (None without any)."""

    epoch: int
    loss: float
    test_loss: float | None
    accuracy: float | None
    lr: float
    frozen_checked: int
    seconds: float


Tell = Callable[[int, int, Epoch | None], object]
"""Gets optimizer steps done, steps in all, and at the end of an epoch its figures."""


def train(
    course: Course, tuning: Tuning, out: Path | None = None, *, epochs: int | None = None,
    about: dict[str, Any] | None = None, save_seconds: float = SAVE_SECONDS,
    keep_going: Callable[[], bool] = lambda: True, on_step: Tell = lambda done, total, epoch: None,
) -> list[Epoch]:  # fmt: skip
    """Teach `course.module` in place. With `out`, checkpoints are kept there and an earlier run goes on.

    Where `keep_going()` says no it saves and raises KeyboardInterrupt. Raises TrainingDiverged (a loss that is
    not finite), FrozenChanged, OutOfMemory.
    """
    epochs, about = epochs or tuning.epochs, tuning.to_json() | (about or {})
    module, plan, device = course.module, course.plan, course.device
    precision = "fp32" if tuning.plan == "frozen" else tuning.precision  # a head alone costs next to nothing
    optimizer = make_optimizer(plan.param_groups(module), tuning)
    average = Average(module, plan.learning(epochs), keep=tuning.ema) if tuning.ema else None
    targets = torch.from_numpy(course.codes).to(device)
    weights = (
        balanced(targets[torch.from_numpy(course.division.teach)], course.classes)
        if tuning.class_weights
        else None
    )
    per_epoch = -(-len(course.division.teach) // (tuning.batch_size * tuning.accumulate))
    total, saved_at = epochs * per_epoch, time.monotonic()
    history: list[Epoch] = []
    at, sums, best = [0, 0], [0.0, 0.0], None  # epoch, batches of it; loss, images
    frozen = {}  # digests from the beginning of the epoch
    if out is not None and (state := checkpoints.load(out, "tune", about)):
        module.load_state_dict(state["module"])
        optimizer.load_state_dict(state["optimizer"])
        if average is not None:
            average.load_state_dict(state["average"])
        at, sums, best, frozen = state["at"], state["sums"], state["best"], state["frozen"]
        history = [Epoch(**one) for one in state["history"]]

    def save() -> None:
        nonlocal saved_at
        if out is not None:
            parts = {
                "module": module.state_dict(),
                "optimizer": optimizer.state_dict(),
                "frozen": frozen,
                "best": best,
            }
            parts |= {"average": average.state_dict() if average else None, "at": at, "sums": sums}
            checkpoints.save(out, "tune", about, parts | {"history": [asdict(one) for one in history]})
        saved_at = time.monotonic()

    with (
        own_chance(device),
        kept_memory(device),
        enough_memory(tuning.batch_size, smaller_batch(tuning.batch_size, tuning.accumulate)),
    ):
        for epoch in range(at[0], epochs):
            if finished_early(history, tuning.patience):
                break
            started = time.perf_counter()
            apply_plan(plan, module, epoch, batch_norm=tuning.batch_norm)
            frozen = frozen if at[1] else fingerprints(module)
            order = _order(course.division.teach, tuning, epoch)
            learning = [p for p in module.parameters() if p.requires_grad]

            def source(number: int, epoch: int = epoch, first: int = at[1]) -> torch.Generator:
                return torch.Generator().manual_seed(seed_of(tuning.seed, epoch, first + number, 1))

            done_before = at[1]
            for number, x in enumerate(course.lessons.batches(order[at[1] :], source), start=done_before):
                rows = torch.tensor(order[number], device=device)
                torch.manual_seed(seed_of(tuning.seed, epoch, number, 2))  # dropout
                mixer = torch.Generator().manual_seed(seed_of(tuning.seed, epoch, number, 3))
                wanted = soft_targets(targets[rows], course.classes, smoothing=tuning.smoothing)
                x, wanted = mix(x, wanted, mixer, mixup=tuning.mixup, cutmix=tuning.cutmix)
                group = number // tuning.accumulate
                set_rates(optimizer, factor(epoch * per_epoch + group, total, warmup=tuning.warmup))
                with autocast(precision, device):
                    logits = course.forward(x)
                loss = losses(logits, wanted, weights).sum()
                check_finite(
                    loss.item(), "loss", epoch, number, optimizer, [course.ids[i] for i in order[number]], out
                )
                together = order[group * tuning.accumulate : (group + 1) * tuning.accumulate]
                (loss / sum(map(len, together))).backward()
                sums = [sums[0] + loss.item(), sums[1] + len(rows)]
                if number + 1 < len(order) and (number + 1) % tuning.accumulate:
                    continue
                norm = nn.utils.clip_grad_norm_(learning, tuning.clip or float("inf"))
                check_finite(
                    norm.item(),
                    "gradient",
                    epoch,
                    number,
                    optimizer,
                    [course.ids[i] for i in order[number]],
                    out,
                )
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
                if average is not None:
                    average.follow()
                at = [epoch, number + 1]
                on_step(epoch * per_epoch + group + 1, total, None)
                if not keep_going() or time.monotonic() - saved_at >= save_seconds:
                    save()
                    if not keep_going():
                        raise KeyboardInterrupt
            checked = check_unchanged(frozen, module)
            with average.in_place() if average else nullcontext():
                test_loss, accuracy = _tested(course, tuning)
                if accuracy is not None and test_loss is not None and not np.isfinite(test_loss):
                    raise TrainingDiverged(
                        f"After epoch {epoch + 1} the loss on the test images is {test_loss}. Kept: {out}."
                    )
                if tuning.patience and accuracy is not None and (best is None or accuracy > best["accuracy"]):
                    best = {"accuracy": accuracy, "epoch": epoch, "module": copied(module)}
            rate = max(group["lr"] for group in optimizer.param_groups)
            seconds = time.perf_counter() - started
            history.append(Epoch(epoch, sums[0] / sums[1], test_loss, accuracy, rate, checked, seconds))
            at, sums = [epoch + 1, 0], [0.0, 0.0]
            on_step((epoch + 1) * per_epoch, total, history[-1])
            if time.monotonic() - saved_at >= min(2.0, save_seconds) or epoch + 1 == epochs:
                save()
    if average is not None:
        average.put()
    if best is not None:
        module.load_state_dict(best["module"])
    module.eval()
    return history


def make_optimizer(groups: list[dict[str, Any]], tuning: Tuning) -> torch.optim.Optimizer:
    """AdamW, or SGD with Nesterov's momentum, over the plan's groups."""
    if tuning.optimizer == "sgd":
        return torch.optim.SGD(groups, momentum=tuning.momentum, nesterov=tuning.momentum > 0)
    return torch.optim.AdamW(groups)


def finished_early(history: Sequence[Epoch], patience: int) -> bool:
    """Whether the last `patience` epochs brought nothing better than an epoch before them."""
    known = [one.accuracy for one in history if one.accuracy is not None]
    return patience > 0 and len(known) > patience and max(known[:-patience]) >= max(known[-patience:])


@torch.no_grad()
def predict(course: Course, rows: Sequence[int], tuning: Tuning) -> Float32[np.ndarray, "row target"]:
    """Class scores of images, without augmentation, in eval mode and single precision."""
    order = [list(rows[i : i + tuning.batch_size]) for i in range(0, len(rows), tuning.batch_size)]
    with in_eval(course.module):
        found = [course.forward(x).float().cpu().numpy() for x in course.lessons.batches(order)]
    return np.concatenate(found) if found else np.empty((0, course.classes), np.float32)


def _tested(course: Course, tuning: Tuning) -> tuple[float | None, float | None]:
    test = course.division.test
    if not len(test):
        return None, None
    scores = torch.from_numpy(predict(course, test.tolist(), tuning))
    codes = torch.from_numpy(course.codes[test])
    loss = nn.functional.cross_entropy(scores, codes).item()
    return loss, float((scores.argmax(1) == codes).float().mean())


def _order(teach: Int64[np.ndarray, "a"], tuning: Tuning, epoch: int) -> list[list[int]]:
    """The batches of an epoch: a permutation that seed and epoch decide, cut up."""
    shuffled = np.random.default_rng([tuning.seed, epoch]).permutation(teach).tolist()
    return [shuffled[i : i + tuning.batch_size] for i in range(0, len(shuffled), tuning.batch_size)]


def copied(module: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in module.state_dict().items()}


@contextmanager
def in_eval(module: nn.Module) -> Iterator[None]:
    """Every part in eval mode; afterwards each in its own mode again."""
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for part, mode in modes:
            part.training = mode
