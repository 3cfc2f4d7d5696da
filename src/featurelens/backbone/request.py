"""What the user asked of `load_backbone`, as one value that every adapter understands."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from featurelens.errors import InvalidInput

Engine = Literal["auto", "openvino", "torch"]
Precision = Literal["auto", "fp32"]
Say = Callable[[str], None]
Triple = tuple[float, float, float]


@dataclass(frozen=True)
class Request:
    """One call of `load_backbone`: `scheme:rest`, where the weights come from and what runs them."""

    scheme: str
    rest: str
    engine: Engine = "auto"
    device: str = "auto"
    pretrained: bool = True
    weights: Path | None = None
    size: int | None = None
    threads: int | None = None
    mean: Triple | None = None
    std: Triple | None = None
    precision: Precision = "auto"
    say: Say = print
    classes: int | None = None  # of a network that was given new ones
    arguments: Mapping[str, Any] = field(default_factory=dict)  # for the library's function that makes it

    def __post_init__(self) -> None:
        if self.engine not in ("auto", "openvino", "torch"):
            raise InvalidInput(f"engine='{self.engine}' is not one of 'auto', 'openvino', 'torch'.")
        if self.precision not in ("auto", "fp32"):
            raise InvalidInput(f"precision='{self.precision}' is not one of 'auto', 'fp32'.")
        if self.size is not None and self.size < 1:
            raise InvalidInput(f"size={self.size} must be a number of pixels, 1 or more.")
        if self.threads is not None and self.threads < 1:
            raise InvalidInput(f"threads={self.threads} must be 1 or more (leave it out for all free cores).")
        if self.engine == "openvino" and self.device not in ("auto", "cpu"):
            raise InvalidInput(
                f"engine='openvino' runs on the CPU, not on device='{self.device}'. Use engine='torch' there."
            )

    @property
    def name(self) -> str:
        """The name as the user types it."""
        return self.rest if self.scheme in ("timm", "embedded") else f"{self.scheme}:{self.rest}"

    def refuse(self, what: str, **options: Any) -> None:
        """Raise InvalidInput if one of `options` is set: this kind of backbone has nothing to apply it to."""
        given = [f"{key}={value!r}" for key, value in options.items() if value is not None]
        if given:
            raise InvalidInput(f"{what} does not take {', '.join(given)}: leave it out.")


def free_cores() -> int:
    """How many cores this process may use: CPU affinity, and the quota of its container (cgroup)."""
    known = hasattr(os, "sched_getaffinity")
    cores = len(os.sched_getaffinity(0)) if known else os.cpu_count() or 1
    quota = _cgroup_quota() if sys.platform == "linux" else None
    return max(1, min(cores, int(quota) if quota else cores))


def _cgroup_quota() -> float | None:
    root = Path("/sys/fs/cgroup")
    try:
        limit, period = (root / "cpu.max").read_text().split()[:2]
    except (OSError, ValueError):
        try:
            limit = (root / "cpu/cpu.cfs_quota_us").read_text().strip()
            period = (root / "cpu/cpu.cfs_period_us").read_text().strip()
        except OSError:
            return None
    try:
        return float(limit) / float(period) if float(limit) > 0 else None
    except ValueError:  # "max"
        return None
