"""What a pretraining run starts from: random weights, a checkpoint, the embedded backbone or a timm network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from featurelens.adapt.checkpoints import read_pretrained
from featurelens.adapt.learner import Learner
from featurelens.adapt.recipe import Recipe
from featurelens.adapt.recover import ARCHITECTURE, OPTIONS, recovered
from featurelens.backbone import load_backbone
from featurelens.backbone.weights import weights_hash
from featurelens.errors import BackboneError, InvalidInput

NONE = "none"
"""The name of a start from random weights, which the recipe's seed decides."""


@dataclass(frozen=True)
class Start:
    """The recipe, brought into line with what is started from, and what fills a new learner.

    `name` tells one start from another: what was asked for and, of weights, their digest.
    """

    recipe: Recipe
    prepare: Callable[[Learner], object]
    name: str


def start_from(name: str | None, recipe: Recipe, *, say: Callable[[str], None] = print) -> Start:
    """`embedded`, a timm network with its trained weights, the file of an earlier checkpoint, or None.

    A named network decides the recipe's architecture and normalisation. Raises UnknownName or BackboneError
    where it cannot be had, InvalidInput for a network that is not from timm.
    """
    if name is None:
        return Start(recipe, lambda learner: None, NONE)
    if name == "embedded":
        recipe = replace(recipe, architecture=ARCHITECTURE, options=OPTIONS, result="descriptor")
        return Start(recipe, _embedded, f"embedded {_digest(recovered().trunk.state_dict())}")
    if Path(name).is_file() or name.endswith(".pt"):
        weights = read_pretrained(Path(name))["average"]
        return Start(
            recipe,
            lambda learner: warm_start(learner, Path(name)),
            f"{Path(name).name} {_digest(weights)}",
        )
    return _timm(name, recipe, say)


def _digest(weights: Mapping[str, Tensor]) -> str:
    """Twelve characters that tell these weights from others."""
    return weights_hash(weights)[:12]


def warm_start(learner: nn.Module, path: Path) -> None:
    """Copy the averaged encoder of another run's checkpoint; raises BackboneError when it does not fit."""
    weights = {k: v for k, v in read_pretrained(path)["average"].items() if k.startswith("encoder.")}
    try:
        missing = learner.load_state_dict(weights, strict=False).missing_keys
    except RuntimeError as error:
        raise BackboneError(
            f"The encoder in {path} does not fit the recipe's architecture: {error}"
        ) from error
    if lacking := [key for key in missing if key.startswith("encoder.")]:
        raise BackboneError(f"The encoder in {path} is another architecture; it lacks {lacking[:3]}.")


def _embedded(learner: Learner) -> None:
    """The trunk of the embedded backbone; its last stage, which the file does without, begins anew like the projector."""
    learner.encoder.load_state_dict(recovered().trunk.state_dict(), strict=False)


def _timm(name: str, recipe: Recipe, say: Callable[[str], None]) -> Start:
    loaded: Any = load_backbone(name, engine="torch", device="cpu", say=say)
    module: Any = getattr(loaded, "module", None)
    config = getattr(module, "pretrained_cfg", None) or {}
    if "architecture" not in config or not hasattr(module, "get_classifier"):
        raise InvalidInput(
            f"'{name}' is not a timm network; start from a timm name, local-dir:PATH or embedded."
        )
    options = {k: v for k, v in (getattr(module, "_model_args", None) or {}).items() if k != "num_classes"}
    if hasattr(module, "dynamic_img_size"):
        options["dynamic_img_size"] = True  # a ViT then takes the phases' sizes
    weights: dict[str, Tensor] = module.state_dict()

    def prepare(learner: Learner) -> None:
        missing = learner.encoder.load_state_dict(weights, strict=False).missing_keys
        if missing:
            raise InvalidInput(f"The weights of '{name}' lack {missing[:3]} of its encoder.")

    spec = loaded.spec
    changed = replace(
        recipe, architecture=config["architecture"], options=options, mean=tuple(spec.mean), std=tuple(spec.std),
        result="network", input=spec.fit.rows,
    )  # fmt: skip
    return Start(changed, prepare, f"{name.rpartition('/')[2]} {_digest(weights)}")
