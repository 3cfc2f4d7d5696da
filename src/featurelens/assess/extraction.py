"""One pass of one backbone in a process of its own, so that its memory and its crash are its own."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from featurelens.assess.study import Cost
from featurelens.errors import BackboneError, FeaturelensError
from featurelens.features.memory import peak_memory
from featurelens.features.table import Features


@dataclass(frozen=True)
class Job:
    """What to extract: every field decides the result, `name` is the backbone as the user types it."""

    images: str
    name: str
    pooling: str | None = None
    size: int | None = None
    device: str = "auto"
    pretrained: bool = True
    weights: str | None = None

    def folder(self, cache: Path) -> Path:
        """Where the job's store lies: readable, and different for every way to extract."""
        decisive = json.dumps([self.name, self.pooling, self.size, self.pretrained, self.weights])
        readable = re.sub(r"[^A-Za-z0-9.-]+", "_", self.name.rpartition("/")[2])[-40:]
        return cache / f"{readable}-{hashlib.sha256(decisive.encode()).hexdigest()[:8]}"


def extract_apart(
    job: Job, cache: Path, *, on_progress: Callable[[int, int], None] | None = None
) -> tuple[Features, Cost]:
    """Features of the job's images, from the cache where they are there, and what they cost.

    Goes on where an earlier run was stopped; the rate is that of the images this or an earlier run
    embedded. Raises BackboneError with the child's own words when it fails.
    """
    folder = job.folder(cache)
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "featurelens.assess.extraction", json.dumps(vars(job)), str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        last: dict[str, Any] = {}
        try:
            for line in child.stdout:
                last = json.loads(line)
                if on_progress and "done" in last:
                    on_progress(last["done"], last["total"])
        except BaseException:
            child.terminate()
            raise
    if child.returncode or "error" in last:
        reason = last.get("error") or f"its process ended with code {child.returncode}"
        raise BackboneError(f"'{job.name}' could not be assessed: {reason}")
    cost = json.loads((folder / "cost.json").read_text())
    return Features.load(folder / "store"), Cost(cost["images_per_second"], cost["memory_bytes"])


def _child(job: Job, folder: Path) -> None:
    from featurelens.backbone import load_backbone
    from featurelens.features.extract import extract

    backbone = load_backbone(
        job.name,
        device=job.device,
        pretrained=job.pretrained,
        weights=Path(job.weights) if job.weights else None,
        size=job.size,
    )
    exported = "torch" in sys.modules and "openvino" in type(backbone).__module__
    if exported and "FEATURELENS_ASSESS_AGAIN" not in os.environ:
        os.environ["FEATURELENS_ASSESS_AGAIN"] = "1"  # the export's memory is not the backbone's
        os.execv(sys.executable, [sys.executable, "-m", "featurelens.assess.extraction", *sys.argv[1:]])
    started, before, last = time.perf_counter(), -1, 0

    def say(progress: Any) -> None:
        nonlocal before, last
        done, total = progress.done, progress.total
        before, last = (done if before < 0 else before), done
        sys.stdout.write(json.dumps({"done": done, "total": total}) + "\n")
        sys.stdout.flush()

    extract(Path(job.images), backbone, pooling=job.pooling, store=folder / "store", on_progress=say)
    cost = folder / "cost.json"
    fresh = last - max(before, 0)
    if fresh >= 16 or not cost.exists():
        seconds = time.perf_counter() - started
        figures = {"images_per_second": fresh / seconds if fresh else None, "memory_bytes": peak_memory()}
        cost.write_text(json.dumps(figures))


if __name__ == "__main__":
    try:
        _child(Job(**json.loads(sys.argv[1])), Path(sys.argv[2]))
    except FeaturelensError as problem:
        sys.stdout.write(json.dumps({"error": str(problem)}) + "\n")
        sys.exit(1)
