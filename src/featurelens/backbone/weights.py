"""Weights from local files: safetensors, or torch files that hold nothing but tensors."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from featurelens.errors import BackboneError


def read_weights(file: Path) -> dict[str, Tensor]:
    """The state dict in a .safetensors file or a torch checkpoint; BackboneError if it is neither, or unsafe."""
    if not file.is_file():
        raise BackboneError(f"There is no weights file {file}.")
    if file.suffix == ".safetensors":
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            return load_file(file)
        except SafetensorError as error:
            raise BackboneError(f"{file} is damaged or no safetensors file: {error}") from error
    try:
        loaded = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise BackboneError(
            f"{file} holds more than weights (it could run code when opened) or is damaged, so it is refused. "
            "Save its state_dict as safetensors where you trust it, and use that file."
        ) from error
    except (RuntimeError, EOFError, OSError) as error:
        raise BackboneError(f"{file} is damaged or no torch file: {error}") from error
    for key in ("state_dict", "model", "model_state_dict"):
        if isinstance(loaded, Mapping) and isinstance(loaded.get(key), Mapping):
            loaded = loaded[key]
    if not isinstance(loaded, Mapping) or not all(isinstance(v, Tensor) for v in loaded.values()):
        raise BackboneError(f"{file} holds no state dict (names and tensors), but {type(loaded).__name__}.")
    return dict(loaded)


def load_into(module: nn.Module, file: Path) -> None:
    """Load the file's weights, every name and shape; BackboneError lists what does not fit."""
    given = read_weights(file)
    wanted = module.state_dict()
    missing, extra = sorted(wanted.keys() - given.keys()), sorted(given.keys() - wanted.keys())
    other = [n for n in wanted.keys() & given.keys() if wanted[n].shape != given[n].shape]
    if missing or extra or other:
        told = [
            f"{len(names)} {what}, e.g. {', '.join(names[:3])}"
            for what, names in (("missing", missing), ("not known to it", extra), ("of another shape", other))
            if names
        ]
        raise BackboneError(
            f"The weights in {file} do not fit {type(module).__name__}: {'; '.join(told)}. "
            "They belong to another network, or to another library's version of it."
        )
    module.load_state_dict(given)
