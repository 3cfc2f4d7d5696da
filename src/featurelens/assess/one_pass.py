"""The process that `extraction` starts: one backbone over one folder, progress as JSON lines on stdout."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from featurelens.assess.extraction import Job, extract_kept
from featurelens.backbone import load_backbone
from featurelens.errors import FeaturelensError
from featurelens.features.memory import peak_memory

_AGAIN = "FEATURELENS_ASSESS_AGAIN"
_FEW = 16
"""Below so many new images a rate says nothing; the earlier one stays."""


def run(job: Job, folder: Path) -> None:
    """Extract into `folder`: the store (resumable), the features of today's images, and what they cost."""
    backbone = load_backbone(
        job.name,
        device=job.device,
        pretrained=job.pretrained,
        weights=Path(job.weights) if job.weights else None,
        size=job.size,
    )
    exported = "torch" in sys.modules and "openvino" in type(backbone).__module__
    if exported and _AGAIN not in os.environ:  # the export's memory is not the backbone's
        os.environ[_AGAIN] = "1"
        os.execv(sys.executable, [sys.executable, "-P", "-m", "featurelens.assess.one_pass", *sys.argv[1:]])
    started, known, last = time.perf_counter(), -1, 0

    def tell(progress: Any) -> None:
        nonlocal known, last
        known, last = (progress.done if known < 0 else known), progress.done
        _say({"done": progress.done, "total": progress.total})

    found = extract_kept(Path(job.images), backbone, store=folder / "store", on_progress=tell)
    seconds, fresh = time.perf_counter() - started, last - max(known, 0)
    found.save(folder / "features")
    cost = folder / "cost.json"
    if fresh >= _FEW or not cost.exists():
        rate = fresh / seconds if fresh >= _FEW else None
        cost.write_text(json.dumps({"images_per_second": rate, "memory_bytes": peak_memory()}))


def _say(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def main() -> int:
    """0 done, 1 failed (and said why), 130 interrupted; what was embedded so far is kept."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        run(Job(**json.loads(sys.argv[1])), Path(sys.argv[2]))
    except FeaturelensError as problem:
        _say({"error": str(problem)})
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
