"""The whole report of 1,000 images under 5 backbones, features already extracted.

Usage: assess_report.py [IMAGES_PER_CLASS]. Real photos (clothing10) where ../shared is, drawn ones otherwise. The
first run extracts (harmed images too); the second, timed, finds the features in the cache, measures, and writes
page and JSON.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from _harness import report, table
from PIL import Image

from featurelens.assess import choose, write_report

SHARED = Path(__file__).resolve().parents[2] / "shared"
WEIGHTS = SHARED / "weights"
REAL = (
    f"local-dir:{WEIGHTS / 'mobilenetv2_100.tflite_in1k'}",
    f"torchvision:squeezenet1_1={WEIGHTS / 'squeezenet1_1_torchvision.safetensors'}",
    "embedded",
    "classic:hog",
    "classic:colour",
)
DRAWN = ("embedded", "random:mobilenetv2_100", "classic:hog", "classic:colour", "classic:lbp")


def drawn(folder: Path, per_class: int) -> None:
    """Ten classes of tinted noise."""
    for label in range(10):
        (folder / str(label)).mkdir(parents=True)
        for i in range(per_class):
            random = np.random.default_rng([label, i])
            tint = np.random.default_rng(label).integers(0, 150, 3)
            pixels = (tint + random.integers(0, 105, (160, 160, 3))).astype(np.uint8)
            Image.fromarray(pixels).save(folder / str(label) / f"{i:04}.jpg")


def some(folder: Path, per_class: int) -> None:
    """The first photos of each class of clothing10."""
    for source in sorted(p for p in (SHARED / "data" / "clothing10").iterdir() if p.is_dir()):
        (folder / source.name).mkdir(parents=True)
        for photo in sorted(source.iterdir())[:per_class]:
            shutil.copyfile(photo, folder / source.name / photo.name)


def main() -> None:
    per_class = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    real = SHARED.is_dir()
    with tempfile.TemporaryDirectory() as place:
        images, cache = Path(place) / "images", Path(place) / "cache"
        (some if real else drawn)(images, per_class)
        names = REAL if real else DRAWN
        started = time.perf_counter()
        choose(images, names, cache=cache)
        first = time.perf_counter() - started
        steps: list[tuple[str, float]] = []
        started = time.perf_counter()
        chosen = choose(
            images,
            names,
            cache=cache,
            say=lambda t: steps.append((t, time.perf_counter() - started)),
        )
        page, data = write_report(chosen, Path(place) / "out")
        seconds = time.perf_counter() - started
        sizes = page.stat().st_size, data.stat().st_size
    n = len(chosen.study.assessments[0].features)
    print(table(["step", "starts after s"], [[name.replace(str(WEIGHTS), "…"), at] for name, at in steps]))
    print(
        f"{n} images, {len(names)} backbones: {first:.1f} s with extraction, {seconds:.1f} s from the cache"
    )
    print(f"page {sizes[0] / 1e6:.1f} MB, data {sizes[1] / 1e6:.1f} MB")
    report(
        f"report of {n} images under {len(names)} backbones from cached features, seconds",
        round(seconds, 1),
        "<= 60",
        seconds <= 60 and n >= 990 and len(names) == 5,
        {
            "photos": "clothing10" if real else "drawn",
            "with_extraction": round(first, 1),
            "page_bytes": sizes[0],
        },
    )


if __name__ == "__main__":
    main()
