"""The settings of a domain adaptation; every field has its default here and nowhere else."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from featurelens.adapt.domain.criteria import CRITERIA
from featurelens.adapt.tuning import Tuning
from featurelens.catalog import unknown
from featurelens.errors import InvalidInput

CLOSED = ("coral", "adabn")
LEARNT = ("source", "deep-coral", "mmd", "dann", "mcc", "pseudo")
METHODS = (*CLOSED, *LEARNT)
AUTO = ("coral", "adabn", "mmd")
"""Those that align features and leave predictions alone: among them sure predictions are a sign of a good alignment."""
WEIGHTS = {"source": 0.0, "deep-coral": 10.0, "mmd": 3.0, "dann": 1.0, "mcc": 1.0, "pseudo": 1.0}
"""How much each method's own loss counts beside the cross-entropy on the source, where nothing is given."""
DEPTHS = ("features", "network")


@dataclass(frozen=True, kw_only=True)
class Adapting:
    """All that decides an adaptation, given both domains and the backbone.

    `methods`: of METHODS, separated by commas, or "auto" (those of AUTO that this backbone allows); the best by `criterion`
    is taken, for a method that learns also the best of its epochs. `depth`: "features" learns a linear map of
    embeddings that are extracted once (seconds, any backbone), "network" the last `stages` of a network on torch.
    `weight` is that of the method's loss, `lr` the learning rate of the map or of the network's head (None: 2e-4 and
    3e-4), `shrink` CORAL's regularisation, `most` the share of each predicted
    class that pseudo-labels take in the end. Raises InvalidInput or UnknownName for values that make no sense.

    >>> Adapting(methods="coral,mcc").listed
    ('coral', 'mcc')
    """

    methods: str = "auto"
    criterion: str = "clarity"
    depth: str = "features"
    stages: int = 1
    epochs: int = 6
    head_epochs: int = 20
    weight: float | None = None
    lr: float | None = None
    shrink: float = 1.0
    most: float = 0.8
    batch_size: int = 32
    weight_decay: float = 0.01
    warmup: float = 0.1
    clip: float = 1.0
    area: float = 0.5
    flip: float = 0.5
    precision: str = "auto"
    split: str = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        for name in self.listed:
            if name not in METHODS:
                raise unknown("method", name, METHODS)
        if not self.listed or len(set(self.listed)) != len(self.listed):
            raise InvalidInput(
                f"methods is '{self.methods}'; give one or more of {', '.join(METHODS)}, each once."
            )
        if self.criterion not in CRITERIA:
            raise unknown("criterion", self.criterion, CRITERIA)
        if self.depth not in DEPTHS:
            raise InvalidInput(f"depth is '{self.depth}'; choose from {', '.join(DEPTHS)}.")
        if self.weight is not None and not 0 <= self.weight < float("inf"):
            raise InvalidInput(f"weight is {self.weight}; it must be 0 or more.")
        if self.batch_size < 2:
            raise InvalidInput(
                f"batch_size is {self.batch_size}; comparing two domains takes 2 or more of each."
            )
        if not 0 < self.most <= 1:
            raise InvalidInput(f"most is {self.most}; it is a share, above 0 and at most 1.")
        if not self.shrink >= 0:
            raise InvalidInput(f"shrink is {self.shrink}; it must be 0 or more.")
        self.tuning()  # checks what both have

    @property
    def listed(self) -> tuple[str, ...]:
        """The methods by name; "auto" all of AUTO."""
        if self.methods.strip() == "auto":
            return AUTO
        return tuple(part.strip() for part in self.methods.split(",") if part.strip())

    @property
    def auto(self) -> bool:
        return self.methods.strip() == "auto"

    def weight_of(self, method: str) -> float:
        """The weight of a method's own loss."""
        return WEIGHTS[method] if self.weight is None else self.weight

    def tuning(self, **changes: Any) -> Tuning:
        """The settings that fine-tuning knows too, as its own kind."""
        shared: dict[str, Any] = {
            name: getattr(self, name)
            for name in (
                "stages", "epochs", "head_epochs", "batch_size", "weight_decay", "warmup", "clip", "area", "flip",
                "precision", "split", "seed", "lr",
            )
        }  # fmt: skip
        shared |= {"plan": "last"} | changes
        return Tuning(**shared)

    def to_json(self) -> dict[str, Any]:
        """A plain dictionary for checkpoints and cards."""
        return asdict(self)
