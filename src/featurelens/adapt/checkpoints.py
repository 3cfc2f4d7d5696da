"""Checkpoints of a pretraining run: written whole or not at all, loaded without executing anything."""

from __future__ import annotations

import os
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import nn

from featurelens.adapt.recipe import Recipe
from featurelens.errors import BackboneError, InvalidInput

FILE = "checkpoint.pt"
FREE = ("phases", "decay")  # a run may be lengthened or cut short; everything else must stay


def save(out: Path, recipe: Recipe, step: int, **parts: Any) -> None:
    """Write `out/checkpoint.pt` under a temporary name, then rename it."""
    out.mkdir(parents=True, exist_ok=True)
    state = {name: part.state_dict() for name, part in parts.items()}
    temporary = out / (FILE + ".part")
    torch.save(state | {"step": step, "recipe": recipe.to_json()}, temporary)
    os.replace(temporary, out / FILE)


def load(out: Path, recipe: Recipe, **parts: Any) -> int:
    """Fill the parts from `out/checkpoint.pt` and return its step; 0 when there is none."""
    path = out / FILE
    if not path.exists():
        return 0
    state = read(path)
    for name, value in recipe.to_json().items():
        if name not in FREE and state["recipe"].get(name, value) != value:
            raise InvalidInput(
                f"{path} was made with {name} = {state['recipe'][name]!r}, the recipe now says {value!r}. "
                f"Give another --out folder, or put the recipe back."
            )
    for name, part in parts.items():
        part.load_state_dict(state[name])
    return int(state["step"])


def warm_start(learner: nn.Module, path: Path) -> None:
    """Copy the averaged encoder of another run's checkpoint; raises BackboneError when it does not fit."""
    weights = {k: v for k, v in read(path)["average"].items() if k.startswith("encoder.")}
    try:
        missing = learner.load_state_dict(weights, strict=False).missing_keys
    except RuntimeError as error:
        raise BackboneError(
            f"The encoder in {path} does not fit the recipe's architecture: {error}"
        ) from error
    if lacking := [key for key in missing if key.startswith("encoder.")]:
        raise BackboneError(f"The encoder in {path} is another architecture; it lacks {lacking[:3]}.")


def read(path: Path) -> dict[str, Any]:
    """The raw contents of a checkpoint; raises BackboneError when it cannot be read."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, KeyError, ValueError, UnpicklingError) as error:
        reason = str(error).partition("\n")[0]
        raise BackboneError(
            f"The checkpoint {path} cannot be read ({reason}). Delete it to start again."
        ) from error
