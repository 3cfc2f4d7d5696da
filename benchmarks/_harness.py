"""What every benchmark shares: alternated rounds, the machine's line, the closing JSON object.

A script measures its contenders with `alternate`, prints a table and ends with `report(...)`.
"""

from __future__ import annotations

import datetime
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = (
    "numpy",
    "pillow",
    "simplejpeg",
    "openvino",
    "torch",
    "torchvision",
    "timm",
    "usearch",
    "faiss-cpu",
)
VECTORS = {"avx512f": "AVX-512", "avx2": "AVX2"}  # flag: name, the widest first


def alternate(
    contenders: Mapping[str, Callable[[], float | None]], rounds: int, *, warm_up: bool = True
) -> dict[str, float]:
    """The median of each contender over `rounds`, run in turns so that a noisy minute hits them all.

    A contender returns its own figure (seconds, images a second, bytes ...), or None: then the
    seconds of the call count. Every second round runs in reverse order. `warm_up`: one uncounted call each.
    """
    figures: dict[str, list[float]] = {name: [] for name in contenders}
    if warm_up:
        for run in contenders.values():
            run()
    names = list(contenders)
    for turn in range(rounds):
        for name in names if turn % 2 == 0 else reversed(names):
            started = time.perf_counter()
            own = contenders[name]()
            figures[name].append(time.perf_counter() - started if own is None else own)
    return {name: statistics.median(values) for name, values in figures.items()}


def machine(packages: Sequence[str] = PACKAGES) -> str:
    """One line: date, processor, cores this process may use, Python, versions of what is installed."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    found = []
    for package in packages:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    return (
        f"{today} · {_processor()} · {cores} cores · Python {platform.python_version()} · {', '.join(found)}"
    )


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A plain text table; numbers to the right, floats with four significant digits."""
    cells = [[f"{c:.4g}" if isinstance(c, float) else str(c) for c in row] for row in [head, *rows]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    lines = [
        "  ".join(
            c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in cells
    ]
    return "\n".join([lines[0], "  ".join("-" * w for w in widths), *lines[1:]])


def report(name: str, value: Any, target: Any, met: bool, detail: Mapping[str, Any] | None = None) -> None:
    """Print the machine's line and, last of all, the JSON object that `make bench` reads."""
    print(machine())
    fields = {"name": name, "value": value, "target": target, "met": bool(met), "detail": dict(detail or {})}
    print(json.dumps(fields), flush=True)


def _processor() -> str:
    """Its name, and the widest vectors that it computes with: without AVX-512 an engine is another contender."""
    cpuinfo = Path("/proc/cpuinfo")
    if not cpuinfo.exists():
        return platform.processor() or platform.machine()
    lines = (line.partition(":") for line in cpuinfo.read_text().splitlines())
    said = {key.strip(): value.strip() for key, _, value in lines}
    flags = said.get("flags", "").split()
    vectors = next((name for flag, name in VECTORS.items() if flag in flags), "")
    return f"{said.get('model name', platform.machine())} {vectors}".strip()
