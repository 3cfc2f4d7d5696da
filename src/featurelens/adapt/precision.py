"""Mixed precision: bfloat16 where the machine computes it, float32 where it would only imitate it."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import torch


def autocast(precision: str, device: torch.device | str) -> Any:
    """A context for forward passes: bf16 autocast for "bf16", and for "auto" where `computes_bf16` says so."""
    kind = torch.device(device).type
    low = precision == "bf16" or (precision == "auto" and computes_bf16(kind))
    return torch.autocast(kind, torch.bfloat16) if low else nullcontext()


def computes_bf16(kind: str) -> bool:
    """Whether a device of this kind multiplies bfloat16 itself; processors without it are eight times slower.

    On a CPU: AVX512-BF16 (AMD since Zen 4, Intel since Cooper Lake) or AMX.
    """
    if kind == "cuda":
        return torch.cuda.is_bf16_supported()
    told = getattr(torch.cpu, "get_capabilities", dict)()  # torch before 2.12 does not tell
    return kind == "cpu" and bool(told.get("avx512_bf16") or told.get("amx_bf16"))
