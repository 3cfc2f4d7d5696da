"""The settings of a fine-tuning run; every field has its default here and nowhere else."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from featurelens.errors import InvalidInput

PLANS = ("frozen", "last", "full", "gradual", "lora")
RATES = {"frozen": 2e-2, "last": 3e-4, "full": 1e-4, "gradual": 3e-4, "lora": 1e-3}
"""The learning rate of the head where none is given."""
_CHOICES = {
    "plan": PLANS,
    "decay_by": ("stage", "layer"),
    "optimizer": ("adamw", "sgd"),
    "batch_norm": ("frozen", "train"),
    "precision": ("auto", "fp32", "bf16"),
}
_AT_LEAST = {
    "stages": 1, "epochs": 1, "head_epochs": 0, "unfreeze_every": 1, "batch_size": 1, "accumulate": 1, "rank": 1,
    "patience": 0, "seed": 0, "mixup": 0, "cutmix": 0, "weight_decay": 0, "clip": 0, "alpha": 0,
}  # fmt: skip
_SHARES = ("warmup", "smoothing", "ema", "flip", "area", "momentum")


@dataclass(frozen=True, kw_only=True)
class Tuning:
    """All that decides the weights of a run, given the images and the backbone.

    `plan`: frozen (only the head learns, on features extracted once), last (`stages` of the network too), full,
    gradual (one stage more every `unfreeze_every` epochs, from the head down), lora (`rank`, `alpha`).
    `lr` is the head's; a stage (or layer, `decay_by`) further down learns at `decay` times the rate of the one
    above it. Plans other than frozen start from a head that learnt `head_epochs` on frozen features.
    `warmup` is a share of the steps, `clip` a gradient norm (0: none), `area` the least share of an image
    that a training crop shows, `patience` epochs without improvement before stopping (0: never). Raises
    InvalidInput for values that make no sense.

    >>> Tuning(plan="last").rate, Tuning(plan="last", lr=1e-3).rate
    (0.0003, 0.001)
    """

    plan: str = "frozen"
    stages: int = 2
    epochs: int = 20
    head_epochs: int = 20
    unfreeze_every: int = 2
    lr: float | None = None
    decay: float = 0.7
    decay_by: str = "stage"
    weight_decay: float = 0.05
    optimizer: str = "adamw"
    momentum: float = 0.9
    batch_size: int = 32
    accumulate: int = 1
    warmup: float = 0.1
    clip: float = 1.0
    smoothing: float = 0.0
    mixup: float = 0.0
    cutmix: float = 0.0
    class_weights: bool = False
    ema: float = 0.0
    patience: int = 0
    batch_norm: str = "frozen"
    rank: int = 8
    alpha: float = 8.0
    area: float = 0.5
    flip: float = 0.5
    precision: str = "auto"
    split: str = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        for name, known in _CHOICES.items():
            if getattr(self, name) not in known:
                raise InvalidInput(f"{name} is '{getattr(self, name)}'; choose from {', '.join(known)}.")
        for name, least in _AT_LEAST.items():
            if not getattr(self, name) >= least:
                raise InvalidInput(f"{name} is {getattr(self, name)}; it must be at least {least}.")
        for name in _SHARES:
            if not 0 <= getattr(self, name) <= 1:
                raise InvalidInput(f"{name} is {getattr(self, name)}; it is a share, from 0 to 1.")
        if self.ema >= 1 or self.smoothing >= 1 or self.area <= 0:
            raise InvalidInput(
                f"ema ({self.ema}) and smoothing ({self.smoothing}) must be below 1, area ({self.area}) above 0."
            )
        if not 0 < self.decay <= 1:
            raise InvalidInput(
                f"decay is {self.decay}; it must be above 0 and at most 1 (1: one rate for all)."
            )
        if self.lr is not None and not 0 < self.lr < float("inf"):
            raise InvalidInput(f"lr is {self.lr}; it must be a number above 0.")
        if self.patience and self.split == "none":
            raise InvalidInput(
                "patience waits for a better test accuracy, and split='none' keeps no test image; leave one of them out."
            )
        if self.cutmix and self.plan == "frozen":
            raise InvalidInput("cutmix cuts images; the plan 'frozen' learns on features. Use mixup there.")

    @property
    def rate(self) -> float:
        """The learning rate of the head."""
        return RATES[self.plan] if self.lr is None else self.lr

    def to_json(self) -> dict[str, Any]:
        """A plain dictionary for checkpoints and cards."""
        return asdict(self)
