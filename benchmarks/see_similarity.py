"""Similarity maps of one image against twenty hits, by the embedded backbone on the CPU, files and all.

The target is 1 second for the twenty: decoding, maps, the split over regions, and the pictures. The embedded backbone
is loaded before; its map graph is compiled in the uncounted first call, as in the web app.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
from _harness import alternate, report, table
from PIL import Image

from featurelens import see
from featurelens.backbone import load_backbone

TARGET = 1.0
SHARED = Path(__file__).resolve().parents[2] / "shared"


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--hits", type=int, default=20)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--backbone", default="embedded")
    given = options.parse_args()
    backbone = load_backbone(given.backbone)
    with tempfile.TemporaryDirectory() as scratch:
        files = photos(Path(scratch), given.hits + 1)
        found: list[see.Match] = []

        def split() -> None:
            found[:] = see.similarities(backbone, files[0], files[1:])

        times = alternate({"split": split}, given.rounds)
        started = time.perf_counter()
        for match in found:
            match.picture()
        drawn = time.perf_counter() - started
    total = times["split"] + drawn
    rows = [["split over regions", times["split"]], ["pictures", drawn], ["both", total]]
    print(table([f"{given.hits} hits, {backbone.spec.name}", "s"], rows))
    kinds = sorted({match.kind for match in found})
    detail = {"split_seconds": times["split"], "picture_seconds": drawn, "kinds": kinds}
    report("see_similarity", total, TARGET, total <= TARGET, detail)


def photos(folder: Path, count: int) -> list[Path]:
    """Real photos where they are at hand, else noise of the same size."""
    real = sorted((SHARED / "data" / "clothing10" / "shoes").glob("*.jpg"))[:count]
    if len(real) == count:
        return real
    for i in range(count):
        pixels = np.random.default_rng(i).integers(0, 256, (40, 30, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((400, 533)).save(folder / f"{i}.jpg")
    return sorted(folder.glob("*.jpg"))


if __name__ == "__main__":
    main()
