"""The checkpoint of a fine-tuning run: whole or not there, and only for the run that wrote it."""

from __future__ import annotations

import io
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from featurelens.durable import write_file
from featurelens.errors import BackboneError, InvalidInput

FILE = "checkpoint.pt"


def save_state(out: Path, about: dict[str, Any], state: dict[str, Any]) -> None:
    """Replace `out/checkpoint.pt` in one step."""
    out.mkdir(parents=True, exist_ok=True)
    data = io.BytesIO()
    torch.save({**state, "about": about}, data)
    write_file(out / FILE, lambda file: file.write(data.getbuffer()))


def load_state(out: Path, about: dict[str, Any]) -> dict[str, Any] | None:
    """The state in `out`, None if there is none; InvalidInput where it is another run's, BackboneError if damaged."""
    path = out / FILE
    if not path.exists():
        return None
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        before = state["about"]
    except (OSError, RuntimeError, EOFError, KeyError, ValueError, UnpicklingError) as error:
        reason = str(error).partition("\n")[0]
        raise BackboneError(
            f"The checkpoint {path} cannot be read ({reason}). Delete it to start again."
        ) from error
    for name in about:
        if before.get(name) != about[name]:
            raise InvalidInput(
                f"{path} belongs to a run with {name} = {before.get(name)!r}; now it is {about[name]!r}. Give another "
                "--out folder, put the settings back to go on, or delete the checkpoint to start again."
            )
    return state
