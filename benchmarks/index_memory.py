"""Peak memory of indexing 10,000 images beside 1,000, each in a process of its own."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from _harness import report, table

TARGET = 1.2


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--few", type=int, default=1_000)
    options.add_argument("--many", type=int, default=10_000)
    options.add_argument("--backbone", default="embedded")
    options.add_argument("--index", nargs=2, metavar=("IMAGES", "GALLERY"), help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.index:
        index(*given.index, given.backbone)
        return
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        peaks = {n: peak(root, n, given.backbone) for n in (given.few, given.many)}
    ratio = peaks[given.many] / peaks[given.few]
    print(table(["images", "peak, MiB"], [[f"{n:,}", p / 2**20] for n, p in peaks.items()]))
    detail = {"peak_bytes": peaks, "backbone": given.backbone}
    name = f"peak memory of indexing {given.many:,} images over {given.few:,}"
    report(name, round(ratio, 3), f"<= {TARGET}", ratio <= TARGET, detail)


def peak(root: Path, count: int, backbone: str) -> int:
    """Draw the photos, index them in a new process, return its peak resident memory in bytes."""
    photos = root / f"photos {count}"
    draw(photos, count)
    command = [
        sys.executable,
        __file__,
        "--backbone",
        backbone,
        "--index",
        str(photos),
        str(root / f"g{count}"),
    ]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return int(done.stdout.split()[-1])


def index(images: str, at: str, backbone: str) -> None:
    """The child: index a folder, print the peak."""
    from featurelens.features.memory import peak_memory
    from featurelens.search import Gallery

    with Gallery.create(images, backbone=backbone, at=at, say=lambda text: None) as gallery:
        report = gallery.update()
        assert report.skipped == 0
    print(peak_memory())


def draw(folder: Path, count: int) -> None:
    """JPEGs of 320 × 240, each another picture, a thousand to a folder."""
    import simplejpeg

    for number in range(count):
        rng = np.random.default_rng(number)
        coarse = rng.integers(0, 256, (12, 16, 3), dtype=np.uint8)
        pixels = np.ascontiguousarray(coarse.repeat(20, 0).repeat(20, 1))
        path = folder / f"{number // 1000:03d}" / f"{number:06d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(simplejpeg.encode_jpeg(pixels, quality=80))


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "2")
    main()
