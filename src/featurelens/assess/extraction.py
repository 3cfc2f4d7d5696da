"""One pass of one backbone in a process of its own, so that its memory and its crash are its own."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from featurelens.assess.study import Cost
from featurelens.errors import BackboneError, SpecMismatch
from featurelens.features.extract import extract
from featurelens.features.table import Features


@dataclass(frozen=True)
class Job:
    """What to extract: every field decides the result, `name` is the backbone as the user types it."""

    images: str
    name: str
    size: int | None = None
    device: str = "auto"
    pretrained: bool = True
    weights: str | None = None

    def folder(self, cache: Path) -> Path:
        """Where the job's features lie: readable, and different for every way to extract."""
        decisive = json.dumps([self.images, self.name, self.size, self.pretrained, self.weights])
        readable = re.sub(r"[^A-Za-z0-9.-]+", "_", self.name.rpartition("/")[2])[-40:]
        return cache / f"{readable}-{hashlib.sha256(decisive.encode()).hexdigest()[:8]}"


def job_of(name: str, images: Path, *, size: int | None = None, device: str = "auto") -> Job:
    """A backbone as typed: its name, `random:NAME` for random weights, or `NAME=FILE` for local weights."""
    plain, pretrained, weights = name, True, None
    if plain.startswith("random:"):
        plain, pretrained = plain.removeprefix("random:"), False
    head, equals, file = plain.rpartition("=")
    if equals and Path(file).is_file():
        plain, weights = head, str(Path(file).resolve())
    return Job(str(images.resolve()), plain, size, device, pretrained, weights)


def extract_apart(
    job: Job, cache: Path, *, on_progress: Callable[[int, int], None] | None = None
) -> tuple[Features, Cost]:
    """Features of the job's images, from the cache where they are there, and what they cost.

    Goes on where an earlier run was stopped; new, changed and deleted images and labels are noticed. The
    rate is that of the images this or an earlier run embedded. Raises BackboneError with the child's own
    words when it fails.
    """
    folder = job.folder(cache)
    folder.mkdir(parents=True, exist_ok=True)
    command = [
        sys.executable,
        "-P",
        "-m",
        "featurelens.assess.one_pass",
        json.dumps(asdict(job)),
        str(folder),
    ]
    problem = None
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        try:
            for line in child.stdout:
                said = _message(line)
                problem = said.get("error", problem)
                if on_progress and "done" in said:
                    on_progress(said["done"], said["total"])
        except BaseException:
            child.terminate()
            raise
    if child.returncode or problem:
        reason = problem or f"its process ended with code {child.returncode}"
        raise BackboneError(f"'{job.name}' could not be assessed: {reason}")
    cost = json.loads((folder / "cost.json").read_text())
    return Features.load(folder / "features"), Cost(cost["images_per_second"], cost["memory_bytes"])


def _message(line: str) -> dict[str, Any]:
    """What the child says; a network that prints something itself says nothing to us."""
    try:
        said = json.loads(line)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def extract_kept(images: Path, backbone: Any, *, store: Path | None, **options: Any) -> Any:
    """`extract` into a store that is only a cache: where another backbone's vectors lie in it, it begins anew."""
    try:
        return extract(images, backbone, store=store, **options)
    except SpecMismatch:
        assert store is not None
        shutil.rmtree(store)
        return extract(images, backbone, store=store, **options)
