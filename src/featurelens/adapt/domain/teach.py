"""The loop on two domains, in sight: the source's classes, and one method's wish about both domains' features."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from featurelens.adapt import checkpoints
from featurelens.adapt.chance import own_chance, seed_of
from featurelens.adapt.domain.adversary import Critic
from featurelens.adapt.domain.course import Both
from featurelens.adapt.domain.criteria import CRITERIA, measured, softmax
from featurelens.adapt.domain.objectives import OBJECTIVES, Pair
from featurelens.adapt.memory import enough_memory, smaller_batch
from featurelens.adapt.mishaps import check_finite
from featurelens.adapt.plan import apply_plan
from featurelens.adapt.precision import autocast
from featurelens.adapt.schedule import factor, set_rates
from featurelens.adapt.training import copied, in_eval, make_optimizer
from featurelens.shapes import Float, Float32, Int64

MOST_TEACH = 256
"""Teaching rows of the source that the criteria look at, where features are not at hand."""


@dataclass(frozen=True)
class Checkpoint:
    """One epoch: mean losses, the criteria, and what labels tell where there are any (nothing learns from it)."""

    method: str
    epoch: int
    loss: float
    method_loss: float
    criteria: dict[str, float | None]
    target_accuracy: float | None
    source_accuracy: float | None
    seconds: float


@dataclass(frozen=True, eq=False)
class Seen:
    """What the criteria look at: the target's features and scores, the source's held-out ones."""

    target: Float32[np.ndarray, "m dim"]
    logits: Float32[np.ndarray, "m target"]
    teach: Float32[np.ndarray, "a dim"]
    teach_codes: Int64[np.ndarray, "a"]
    held: Float32[np.ndarray, "b dim"]
    held_logits: Float32[np.ndarray, "b target"]


@dataclass(frozen=True, eq=False)
class Taught:
    """All epochs, and the weights of the one that the criterion likes best."""

    history: tuple[Checkpoint, ...]
    best: Checkpoint
    state: dict[str, Tensor]


Tell = Callable[[str, int, int, Checkpoint | None], object]
"""Gets the method, steps done, steps in all, and at the end of an epoch its figures."""


def teach(
    both: Both, method: str, *, weight: float, criterion: str, most: float = 0.8, out: Path | None = None,
    about: dict[str, Any] | None = None, keep_going: Callable[[], bool] = lambda: True,
    on_step: Tell = lambda method, done, total, epoch: None,
) -> Taught:  # fmt: skip
    """Teach `both.module` in place by a method of OBJECTIVES. With `out`, each finished epoch is kept there.

    Where `keep_going()` says no it raises KeyboardInterrupt; the same call goes on from the last finished epoch and
    ends with the same weights. Raises TrainingDiverged, OutOfMemory.
    """
    tuning, device, domains = both.tuning, both.device, both.domains
    module, plan = both.module, both.plan
    about = (
        (about or {})
        | tuning.to_json()
        | {"method": method, "weight": weight, "criterion": criterion, "most": most}
        | {"criteria": list(CRITERIA)}  # each finished epoch holds all of them
    )
    size = min(tuning.batch_size, len(domains.teach), len(domains.known))
    steps = max(len(domains.teach), len(domains.known)) // size
    total = tuning.epochs * steps
    history: list[Checkpoint] = []
    with own_chance(device), enough_memory(2 * size, smaller_batch(size, None)):
        torch.manual_seed(tuning.seed)
        critic = Critic(both.dim).to(device) if method == "dann" else None
        groups = plan.param_groups(module)
        if critic is not None:
            rate = max(group["lr"] for group in groups)
            groups.append(
                {"params": list(critic.parameters()), "lr": rate, "initial_lr": rate, "weight_decay": 0.01}
            )
        optimizer = make_optimizer(groups, tuning)
        best: dict[str, Any] = {}
        if out is not None and (state := checkpoints.load(out, "adapt", about)):
            module.load_state_dict(state["module"])
            optimizer.load_state_dict(state["optimizer"])
            if critic is not None:
                critic.load_state_dict(state["critic"])
            history, best = [Checkpoint(**one) for one in state["history"]], state["best"]
        codes = torch.from_numpy(domains.codes).to(device)
        for epoch in range(len(history), tuning.epochs):
            started, sums = time.perf_counter(), [0.0, 0.0]
            guesses = np.full(len(domains.known), -1, np.int64)
            if method == "pseudo":
                guesses = sure_labels(
                    _look(both, only_target=True).logits, most * (epoch + 1) / tuning.epochs
                )
            sure = torch.from_numpy(guesses).to(device)
            apply_plan(plan, module, epoch, batch_norm=tuning.batch_norm)
            learning = [p for group in optimizer.param_groups for p in group["params"]]
            order = _order(both, size, steps, epoch)

            def source(number: int, epoch: int = epoch) -> torch.Generator:
                return torch.Generator().manual_seed(seed_of(tuning.seed, epoch, number, 1))

            for number, x in enumerate(both.lessons.batches(order, source)):
                torch.manual_seed(seed_of(tuning.seed, epoch, number, 2))  # dropout
                rows = torch.tensor(order[number], device=device)
                set_rates(optimizer, factor(epoch * steps + number, total, warmup=tuning.warmup))
                with autocast(tuning.precision, device):
                    features = both.features(x)
                    logits = both.logits(features)
                scaled = features.float() * both.scale
                pair = Pair(
                    scaled[:size], scaled[size:], logits[:size], logits[size:], sure[rows[size:] - len(codes)],
                    (epoch * steps + number) / total, critic,
                )  # fmt: skip
                own = OBJECTIVES[method](pair)
                loss = F.cross_entropy(pair.source_logits.float(), codes[rows[:size]])
                names = [domains.ids[i] for i in order[number]]
                check_finite((loss + weight * own).item(), "loss", epoch, number, optimizer, names, out)
                (loss + weight * own).backward()
                norm = nn.utils.clip_grad_norm_(learning, tuning.clip or float("inf"))
                check_finite(norm.item(), "gradient", epoch, number, optimizer, names, out)
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
                sums = [sums[0] + loss.item() / steps, sums[1] + own.item() / steps]
                on_step(method, epoch * steps + number + 1, total, None)
                if not keep_going():
                    raise KeyboardInterrupt
            seen = _look(both)
            seconds = time.perf_counter() - started
            now = checkpoint(method, epoch + 1, seen, both, loss=(sums[0], sums[1]), seconds=seconds)
            history.append(now)
            if not best or _higher(now.criteria[criterion], best["value"]):
                best = {"value": now.criteria[criterion], "epoch": epoch + 1, "module": copied(module)}
            on_step(method, (epoch + 1) * steps, total, now)
            if out is not None:
                parts = {"module": module.state_dict(), "optimizer": optimizer.state_dict(), "best": best}
                parts |= {"critic": critic.state_dict() if critic else None}
                checkpoints.save(out, "adapt", about, parts | {"history": [asdict(one) for one in history]})
    module.load_state_dict(best["module"])
    module.eval()
    return Taught(tuple(history), history[best["epoch"] - 1], best["module"])


def checkpoint(
    method: str, epoch: int, seen: Seen, both: Both, *, loss: tuple[float, float] = (0.0, 0.0), seconds: float = 0.0
) -> Checkpoint:  # fmt: skip
    """The figures of what is seen now."""
    domains = both.domains
    held_codes = domains.codes[domains.held]
    criteria = measured(
        seen.logits, seen.target, seen.teach, seen.teach_codes, seen.held, seen.held_logits, held_codes
    )  # fmt: skip
    known = domains.known >= 0
    right = accuracy(seen.logits[known], domains.known[known])
    return Checkpoint(method, epoch, *loss, criteria, right, accuracy(seen.held_logits, held_codes), seconds)


def accuracy(logits: Float[np.ndarray, "n target"], codes: Int64[np.ndarray, "n"]) -> float | None:
    """The share of right answers; None without images."""
    return float((logits.argmax(1) == codes).mean()) if len(codes) else None


def sure_labels(logits: Float[np.ndarray, "n target"], share: float) -> Int64[np.ndarray, "n"]:
    """The predicted class of the surest `share` of each predicted class, -1 for the others (Zou et al. 2018).

    >>> sure_labels(np.array([[5.0, 0.0], [1.0, 0.0], [0.0, 2.0]]), 0.5).tolist()
    [0, -1, 1]
    """
    chances = softmax(logits)
    said, sure = chances.argmax(1), chances.max(1)
    kept = np.full(len(said), -1, np.int64)
    for code in np.unique(said):
        rows = np.flatnonzero(said == code)
        kept[rows[np.argsort(-sure[rows], kind="stable")][: max(1, round(share * len(rows)))]] = code
    return kept


def _order(both: Both, size: int, steps: int, epoch: int) -> list[list[int]]:
    """For each step `size` source rows and then as many target rows; the shorter side comes round again."""
    found = []
    for side, rows in enumerate((both.domains.teach, both.domains.target)):
        random = np.random.default_rng([both.tuning.seed, epoch, side])
        line = np.concatenate([random.permutation(rows) for _ in range(-(-steps * size // len(rows)))])
        found.append(line[: steps * size].reshape(steps, size))
    return [[*a.tolist(), *b.tolist()] for a, b in zip(*found, strict=True)]


@torch.no_grad()
def _look(both: Both, *, only_target: bool = False) -> Seen:
    """Features and scores as they are now, in eval mode, without augmentation."""
    domains, size = both.domains, both.tuning.batch_size
    random = np.random.default_rng(both.tuning.seed)
    some = np.sort(random.permutation(domains.teach)[:MOST_TEACH])
    parts: Sequence[Any] = (domains.target, some, domains.held)
    rows = [row for part in (parts[:1] if only_target else parts) for row in part.tolist()]
    features, logits = [], []
    with in_eval(both.module):
        for x in both.lessons.batches([rows[i : i + size] for i in range(0, len(rows), size)]):
            found = both.features(x)
            logits.append(both.logits(found).float().cpu().numpy())
            features.append(found.float().cpu().numpy())
    f, scores = np.concatenate(features), np.concatenate(logits)
    m, a = len(domains.known), 0 if only_target else len(some)
    return Seen(f[:m], scores[:m], f[m : m + a], domains.codes[some[:a]], f[m + a :], scores[m + a :])


def _higher(value: float | None, best: float | None) -> bool:
    return value is not None and (best is None or value > best)
