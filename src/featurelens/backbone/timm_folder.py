"""A timm network written in the hub's own layout, which `local-dir:FOLDER` and timm itself read."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import torch


def write_timm_folder(module: Any, folder: Path) -> None:
    """`config.json` and `model.safetensors` of a timm network, with the arguments it was made with."""
    from timm.models import save_for_hf

    config = {"num_classes": getattr(module, "num_classes", 0)}
    args = {k: v for k, v in (getattr(module, "_model_args", None) or {}).items() if k != "num_classes"}
    plain = copy.deepcopy(module).to(
        memory_format=torch.contiguous_format
    )  # safetensors takes no channels_last
    save_for_hf(plain, str(folder), model_config=config | {"model_args": args}, safe_serialization=True)
