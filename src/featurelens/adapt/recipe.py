"""The recipe of a pretraining run, read from TOML; every field has its default here and nowhere else."""

from __future__ import annotations

import tomllib
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from featurelens.adapt.recipe_values import check_recipe
from featurelens.errors import InvalidInput

EMBEDDED = Path(__file__).with_name("recipes") / "embedded.toml"
FOLDER = Path(__file__).with_name("recipes") / "folder.toml"
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Recipe:
    """All that decides the weights of a run (on one machine and thread count, bit for bit).

    Raises InvalidInput for a value that is not what RECIPE in recipe_values.py says.
    """

    name: str = "embedded"
    architecture: str = "resnet18"
    options: dict[str, Any] = field(default_factory=dict)
    objective: str = "simclr"
    temperature: float = 0.2
    projector: tuple[int, ...] = (512, 128)
    phases: tuple[tuple[int, int, int], ...] = ((2000, 64, 256),)  # (steps, pixels, pairs per step)
    local_views: int = 0
    local_size: int = 48
    lr: float = 2e-3
    weight_decay: float = 0.05
    warmup: int = 100
    decay: float = 0.3  # the last share of the steps, over which the learning rate falls to zero
    ema: float = 0.998  # of the weights that are kept; for BYOL also of the target
    precision: str = "auto"  # bf16 where the machine computes it, else fp32
    pool: int = 8192  # programmes in memory
    views: int = 2  # renderings of each
    pool_size: int = 96  # pixels
    refresh: int = 8  # programmes renewed per step
    chunk: int = 64  # programmes drawn at once: a GPU wants hundreds
    compile: bool = (
        False  # the network, on CUDA; takes half a minute and a C compiler, and is worth it in long runs
    )
    mixture: dict[str, int] = field(
        default_factory=dict
    )  # shares of the procedural ingredients, as `render` has
    augment: dict[str, Any] = field(default_factory=dict)
    seed: int = 0
    mean: tuple[float, float, float] = MEAN
    std: tuple[float, float, float] = STD
    result: str = "descriptor"  # or "network": the bare timm network
    input: int = 0  # pixels that the bare network takes in the end; 0: those of the last phase

    def __post_init__(self) -> None:
        check_recipe(vars(self))

    @property
    def steps(self) -> int:
        """All phases together."""
        return sum(phase[0] for phase in self.phases)

    def phase(self, step: int) -> tuple[int, int]:
        """Pixels and pairs at this step."""
        for steps, size, batch in self.phases:
            if step < steps:
                return size, batch
            step -= steps
        return self.phases[-1][1], self.phases[-1][2]

    def rate(self, step: int) -> float:
        """Learning rate: warm-up, a plateau (so that a run can be lengthened later), linear decay."""
        falling = (self.steps - step) / max(1, self.decay * self.steps)
        return self.lr * min(1.0, (step + 1) / max(1, self.warmup), max(0.0, falling))

    def cut_to(self, steps: int) -> Recipe:
        """The same recipe in another number of steps, shared out over its phases as before; 0: nothing is trained."""
        ends = [
            round(steps * sum(p[0] for p in self.phases[: n + 1]) / self.steps)
            for n in range(len(self.phases))
        ]
        phases = zip([b - a for a, b in zip([0, *ends], ends, strict=False)], self.phases, strict=True)
        left = tuple((count, *phase[1:]) for count, phase in phases if count)
        return replace(self, phases=left or ((0, *self.phases[-1][1:]),))

    def to_json(self) -> dict[str, Any]:
        """A plain dictionary for checkpoints and cards."""
        return asdict(self)


def read_recipe(path: Path) -> Recipe:
    """The recipe in a TOML file; raises InvalidInput for unreadable files, unknown keys and values."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InvalidInput(f"The recipe {path} cannot be read: {error}. Expected a TOML file.") from error
    recipe = make_recipe(values)
    if not recipe.steps:
        raise InvalidInput(f"The phases of {path} have no step. Give steps >= 1; --steps 0 trains nothing.")
    return recipe


def make_recipe(values: dict[str, Any]) -> Recipe:
    """A recipe from plain values; raises InvalidInput for unknown keys and for values that it does not take."""
    check_recipe(values)
    lists = {name: _tuples(values[name]) for name in ("projector", "phases", "mean", "std") if name in values}
    return Recipe(**(values | lists))


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list | tuple) else value
