"""A timm network written in the hub's own layout, which `local-dir:FOLDER` and timm itself read."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import torch

from featurelens.errors import BackboneError


def write_timm_folder(module: Any, folder: Path) -> None:
    """`config.json` and `model.safetensors` of a timm network, with the arguments it was made with."""
    from timm.models import save_for_hf

    config = {"num_classes": getattr(module, "num_classes", 0)}
    args = {k: v for k, v in (getattr(module, "_model_args", None) or {}).items() if k != "num_classes"}
    plain = copy.deepcopy(module).to(
        memory_format=torch.contiguous_format
    )  # safetensors takes no channels_last
    save_for_hf(plain, str(folder), model_config=config | {"model_args": args}, safe_serialization=True)


def check_timm_folder(folder: Path) -> None:
    """BackboneError, with the field, for a `config.json` that timm would stumble over."""
    file = folder / "config.json"
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
        if not isinstance(config, dict) or not isinstance(config.get("architecture"), str):
            raise ValueError("it names no timm architecture (transformers' own folders are of another kind)")
        told = config.get("pretrained_cfg", config)  # timm's older files have all in one
        if not isinstance(told, dict):
            raise ValueError("its pretrained_cfg holds no settings")
        for name in ("input_size", "mean", "std"):
            value = told.get(name, [1, 1, 1])
            numbers = isinstance(value, list) and all(isinstance(one, int | float) for one in value)
            if not numbers or len(value) != 3 or (name != "mean" and min(value) <= 0):
                raise ValueError(
                    f"{name} is {value}; expected three numbers" + ("" if name == "mean" else " above 0")
                )
    except (OSError, ValueError) as error:
        raise BackboneError(
            f"{file} does not describe a timm network: {error}. Copy it again, or put it right."
        ) from error
