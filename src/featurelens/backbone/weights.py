"""Weights from local files: safetensors, or torch files that hold nothing but tensors."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from featurelens.errors import BackboneError

_INSIDE = ("state_dict", "model", "model_state_dict", "state_dict_ema", "model_ema")
_BEFORE_EVERY_NAME = ("module.", "_orig_mod.", "model.")


def read_weights(file: Path) -> dict[str, Tensor]:
    """The state dict in a .safetensors file or a torch checkpoint, on the CPU.

    Raises BackboneError for a file that is missing, damaged, no state dict, or a pickle that holds more
    than tensors: opening that could run code, so it is not opened.
    """
    if not file.is_file():
        raise BackboneError(f"There is no weights file {file}.")
    if file.suffix == ".safetensors":
        return _read_safetensors(file)
    try:
        loaded = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise BackboneError(
            f"{file} is refused: it holds more than weights, and opening it could run code of whoever made it; "
            "or it is damaged. Where you trust it, save its weights alone and use that file: "
            "safetensors.torch.save_file(model.state_dict(), 'weights.safetensors')."
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, AttributeError) as error:
        raise BackboneError(
            f"{file} ({file.stat().st_size:,} bytes) is damaged or no torch file: {_first_line(error)}. "
            "Weights come as .safetensors, or .pt/.pth with a state dict."
        ) from error
    return _tensors_in(loaded, file)


def _read_safetensors(file: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(file)
    except (SafetensorError, OSError, RuntimeError, ValueError) as error:
        raise BackboneError(
            f"{file} ({file.stat().st_size:,} bytes) is damaged or no safetensors file: {_first_line(error)}. "
            "Copy or download it again."
        ) from error


def _tensors_in(loaded: Any, file: Path) -> dict[str, Tensor]:
    for key in _INSIDE:
        if isinstance(loaded, Mapping) and isinstance(loaded.get(key), Mapping):
            loaded = loaded[key]
    if not isinstance(loaded, Mapping) or not all(isinstance(v, Tensor) for v in loaded.values()):
        raise BackboneError(f"{file} holds no state dict (names and tensors), but {type(loaded).__name__}.")
    return dict(loaded)


def load_into(module: nn.Module, file: Path) -> None:
    """Load the file's weights, every name and shape; BackboneError lists what does not fit."""
    given = read_weights(file)
    wanted = module.state_dict()
    for prefix in _BEFORE_EVERY_NAME:  # DataParallel, torch.compile, Lightning
        if all(n.startswith(prefix) for n in given) and not any(n.startswith(prefix) for n in wanted):
            given = {name.removeprefix(prefix): tensor for name, tensor in given.items()}
    missing, extra = sorted(wanted.keys() - given.keys()), sorted(given.keys() - wanted.keys())
    common = sorted(wanted.keys() & given.keys())
    other = [
        f"{n} {tuple(given[n].shape)} instead of {tuple(wanted[n].shape)}"
        for n in common
        if wanted[n].shape != given[n].shape and not (wanted[n].ndim == 0 and given[n].shape == (1,))
    ]  # torch itself takes [1] for a scalar: so old files hold num_batches_tracked
    if missing or extra or other:
        told = [
            f"{len(names)} {what}, e.g. {', '.join(names[:3])}"
            for what, names in (("missing", missing), ("not known to it", extra), ("of another shape", other))
            if names
        ]
        raise BackboneError(
            f"The weights in {file} do not fit {type(module).__name__} ({len(common)} of {len(wanted)} names "
            f"agree): {'; '.join(told)}. They belong to another network, to another library's version of it, "
            "or to one with another number of classes or input size."
        )
    module.load_state_dict(given)


def weights_hash(weights: nn.Module | Mapping[str, Tensor], identity: str = "") -> str:
    """SHA-256 over the architecture's identity and the names, shapes and values of parameters and buffers.

    The identity counts because equal weights in another architecture (padding, activation) give other
    vectors.
    """
    digest = hashlib.sha256(identity.encode())
    for name, tensor in sorted((weights.state_dict() if isinstance(weights, nn.Module) else weights).items()):
        digest.update(f"\n{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(bytes_of(tensor))
    return digest.hexdigest()


def bytes_of(tensor: Tensor) -> memoryview:
    """The numbers of a tensor as they lie in memory, one row after the other: what digests are made of."""
    return tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
