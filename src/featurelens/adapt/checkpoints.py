"""Checkpoints of runs: whole or not there, loaded without executing anything, and only for the run that wrote them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from featurelens.durable import write_file
from featurelens.errors import BackboneError, InvalidInput

FILE = "checkpoint.pt"
_TOLD = {"images": "other images", "backbone": "another backbone", "head": "a head that learnt otherwise"}
"""What is compared by its digest, in words."""


def save(out: Path, kind: str, about: Mapping[str, Any], state: Mapping[str, Any]) -> None:
    """Replace `out/checkpoint.pt` in one step. `kind` is the command, `about` all that decides what the run does."""
    out.mkdir(parents=True, exist_ok=True)
    whole = {**state, "kind": kind, "about": dict(about)}
    write_file(out / FILE, lambda file: torch.save(whole, file))


def load(out: Path, kind: str, about: Mapping[str, Any]) -> dict[str, Any] | None:
    """The state in `out`, None if there is none; InvalidInput where it is another run's, BackboneError if damaged."""
    path = out / FILE
    if not path.exists():
        return None
    state = read(path)
    advice = "Give another --out folder, {}or delete the checkpoint to start again."
    if state.get("kind") != kind:
        by = f"featurelens {state['kind']}" if "kind" in state else "an earlier version of featurelens"
        raise InvalidInput(
            f"{path} was written by {by}; featurelens {kind} cannot go on from it. {advice.format('')}"
        )
    before = state["about"]
    for name, now in about.items():
        if before.get(name) != now:
            noted = f"{name} = {before[name]!r}" if name in before else f"no {name} on record"
            run = _TOLD.get(name) or f"{noted}; now it is {now!r}"
            back = "put them back to go on, " if name == "images" else "put the settings back to go on, "
            raise InvalidInput(f"{path} belongs to a run with {run}. {advice.format(back)}")
    return state


def read(path: Path) -> dict[str, Any]:
    """The raw contents of a checkpoint; raises BackboneError when it cannot be read."""
    if not path.exists():
        raise BackboneError(f"There is no checkpoint {path}.")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, KeyError, ValueError, UnpicklingError) as error:
        reason = str(error).partition("\n")[0]
        raise BackboneError(
            f"The checkpoint {path} cannot be read ({reason}). Delete it to start again."
        ) from error
    if not isinstance(state, dict):
        raise BackboneError(f"{path} holds a {type(state).__name__}, which is no checkpoint of featurelens.")
    return state


def read_pretrained(path: Path) -> dict[str, Any]:
    """The checkpoint of a pretraining run: `recipe` and `average` among others. Raises BackboneError for any other file."""
    state = read(path)
    if "recipe" not in state or "average" not in state:
        raise BackboneError(
            f"{path} is no checkpoint of featurelens pretrain. Give the checkpoint.pt that it wrote into its --out folder."
        )
    return state
