"""What of a network learns, at which rate, and how its batch norm runs: one table, made before training."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from featurelens.adapt.lora import is_added, plain_name
from featurelens.adapt.stages import HEAD, Stage
from featurelens.adapt.tuning import Tuning
from featurelens.errors import BackboneError, InvalidInput

BATCH_NORM = nn.modules.batchnorm._BatchNorm


@dataclass(frozen=True)
class Group:
    """Parameters of one stage that are treated alike. `lr` is 0 where they never learn.

    `start` is the epoch from which they learn (None: never), `batch_norm` "eval", "train" or "" (it has none),
    `count` how many numbers they are.
    """

    stage: str
    names: tuple[str, ...]
    count: int
    lr: float
    weight_decay: float
    start: int | None
    batch_norm: str

    @property
    def trainable(self) -> bool:
        return self.start is not None


@dataclass(frozen=True)
class Plan:
    """All groups from the input to the head; every parameter of the network is in exactly one."""

    kind: str
    groups: tuple[Group, ...]

    def learning(self, epoch: int) -> set[str]:
        """The parameters that learn in this epoch (from 0)."""
        return {name for g in self.groups if g.start is not None and g.start <= epoch for name in g.names}

    def param_groups(self, module: nn.Module) -> list[dict[str, Any]]:
        """For torch's optimizers, with the real `lr` of each group (kept as `initial_lr` for the schedule)."""
        parameters = dict(module.named_parameters())
        return [
            {
                "name": f"{g.stage}{'' if g.weight_decay else ' (no decay)'}",
                "params": [parameters[name] for name in g.names],
                "lr": g.lr,
                "initial_lr": g.lr,
                "weight_decay": g.weight_decay,
            }
            for g in self.groups
            if g.trainable
        ]


def make_plan(module: nn.Module, stages: Sequence[Stage], tuning: Tuning) -> Plan:
    """The plan of `tuning` for a network whose `stages` are given (LoRA, if it is the plan, already added).

    Raises InvalidInput for more stages than there are, BackboneError for a parameter that is in no stage or in two.
    """
    parameters = dict(module.named_parameters())
    place = _places(stages, parameters)
    body = len(stages) - 1
    if tuning.plan == "last" and tuning.stages > body:
        raise InvalidInput(
            f"The network has {body} stages below the head ({', '.join(s.name for s in stages[:-1])}); "
            f"stages={tuning.stages} is more. Give at most {body}, or the plan 'full'."
        )
    plain = _undecayed(module)
    norms = {f"{name}." for name, part in module.named_modules() if isinstance(part, BATCH_NORM)}
    groups: list[Group] = []
    for number, stage in enumerate(stages):
        depth = body - number
        start = _start(depth, tuning)
        inside = [name for name in parameters if place[plain_name(name)] == number]
        has_norm = any(name.rpartition(".")[0] + "." in norms for name in inside)
        trains = start is not None and tuning.batch_norm == "train" and tuning.plan != "lora"
        mode = ("train" if trains else "eval") if has_norm else ""
        sort: dict[tuple[bool, bool], list[str]] = {}
        for name in inside:
            learns = start is not None and (tuning.plan != "lora" or is_added(name) or depth == 0)
            decays = parameters[name].ndim > 1 and not any(_same(plain_name(name), one) for one in plain)
            sort.setdefault((learns, decays), []).append(name)
        rate = tuning.rate * (1.0 if tuning.plan == "lora" else tuning.decay**depth)
        for (learns, decays), names in sort.items():
            groups.append(
                Group(
                    stage.name,
                    tuple(names),
                    sum(parameters[n].numel() for n in names),
                    rate if learns else 0.0,
                    tuning.weight_decay if learns and decays else 0.0,
                    start if learns else None,
                    mode,
                )
            )
    return Plan(tuning.plan, tuple(groups))


def _start(depth: int, tuning: Tuning) -> int | None:
    """The epoch from which the stage `depth` steps below the head learns."""
    if depth == 0:
        return 0
    if tuning.plan == "frozen" or (tuning.plan == "last" and depth > tuning.stages):
        return None
    return depth * tuning.unfreeze_every if tuning.plan == "gradual" else 0


def _places(stages: Sequence[Stage], parameters: Iterable[str]) -> dict[str, int]:
    place: dict[str, int] = {}
    for number, stage in enumerate(stages):
        for name in stage.parameters:
            if name in place:
                raise BackboneError(
                    f"The parameter {name} is in two stages: {stages[place[name]].name}, {stage.name}."
                )
            place[name] = number
    lost = [name for name in parameters if plain_name(name) not in place]
    if lost or stages[-1].name != HEAD:
        raise BackboneError(f"{len(lost)} parameters are in no stage: {', '.join(lost[:5])}.")
    return place


def _undecayed(module: nn.Module) -> list[str]:
    told: Any = getattr(module, "no_weight_decay", None)
    return sorted(told()) if told is not None else []


def _same(name: str, told: str) -> bool:
    return name == told or name.endswith(f".{told}")


def apply_plan(plan: Plan, module: nn.Module, epoch: int, *, batch_norm: str = "frozen") -> None:
    """Set requires_grad and the mode of every part for one epoch.

    A part without a parameter that learns stays in eval mode (its batch norm, its dropout); with
    `batch_norm="frozen"` every batch norm does, though its scale and shift may learn.
    """
    learning = plan.learning(epoch)
    for name, parameter in module.named_parameters():
        parameter.requires_grad_(name in learning)
        if name not in learning:
            parameter.grad = None
    _set_modes(module, batch_norm=batch_norm)


def _set_modes(module: nn.Module, *, batch_norm: str) -> None:
    own = list(module.parameters())
    module.training = any(p.requires_grad for p in own)
    if isinstance(module, BATCH_NORM) and batch_norm == "frozen":
        module.training = False
    for child in module.children():
        if module.training and not any(True for _ in child.parameters()):
            child.train()  # dropout in a part that learns
            for part in child.modules():
                part.training = not (isinstance(part, BATCH_NORM) and batch_norm == "frozen")
        else:
            _set_modes(child, batch_norm=batch_norm)


def frozen_state(module: nn.Module) -> dict[str, Tensor]:
    """All that must not change while the modes are as they are: parameters without gradient, buffers in eval mode."""
    held = {name: p.detach() for name, p in module.named_parameters() if not p.requires_grad}
    for name, part in module.named_modules():
        if not part.training:
            held |= {f"{name}.{key}": value for key, value in part.named_buffers(recurse=False)}
    return held
