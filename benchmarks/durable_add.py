"""1,000 vectors into a gallery of 200,000, durable and searchable, beside re-saving a FAISS HNSW index.

Both keep 384 numbers per image. Ours: `Gallery.add` (SQLite, fsync) and a search that finds one of the new
vectors. FAISS: writing the index (HNSW32, already extended in memory) to a temporary name, fsync, rename;
its `add` is left out, which favours it.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

import numpy as np
from _harness import alternate, report, table
from _vectors import clustered, given_backbone

from featurelens.features import Features
from featurelens.search import Gallery

TARGET = 1 / 20


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--images", type=int, default=200_000)
    options.add_argument("--more", type=int, default=1_000)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--folder", type=Path, default=None, help="a folder on the disk to measure")
    given = options.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        measure(Path(folder), given.images, given.more, given.rounds)


def measure(folder: Path, images: int, more: int, rounds: int) -> None:
    import faiss

    backbone = given_backbone(384)
    vectors = clustered(images, 384, clusters=max(1, images // 100), seed=1)
    graph = faiss.IndexHNSWFlat(384, 32, faiss.METRIC_INNER_PRODUCT)
    graph.add(vectors)
    gallery = Gallery.create(folder, backbone=backbone, at=folder / "gallery")
    gallery.add(named(vectors, "first", backbone.spec))
    gallery.search(vectors[0], k=10)
    turn = iter(range(1000))

    def ours() -> float:
        number = next(turn)
        new = clustered(more, 384, clusters=20, seed=100 + number)
        batch = named(new, f"more {number}", backbone.spec)
        started = time.perf_counter()
        gallery.add(batch)
        hit = gallery.search(new[-1], k=10)[0]
        seconds = time.perf_counter() - started
        assert hit.name == batch.ids[-1], "the new vector was not found"
        return seconds

    def faiss_again() -> float:
        started = time.perf_counter()
        part = folder / "faiss.tmp"
        faiss.write_index(graph, str(part))
        with open(part, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(part, folder / "faiss.index")
        return time.perf_counter() - started

    times = alternate({"featurelens": ours, "FAISS": faiss_again}, rounds)
    gallery.close()
    ratio = times["featurelens"] / times["FAISS"]
    print(
        table(
            ["add 1,000 durably", "seconds", "of FAISS"],
            [
                ["featurelens: add + search", times["featurelens"], ratio],
                ["FAISS: write_index + fsync", times["FAISS"], 1.0],
            ],
        )
    )
    detail = {"seconds": times, "images": images, "more": more}
    name = f"adding {more:,} images to {images:,}, durable and searchable, over re-saving a FAISS index"
    report(name, round(ratio, 3), f"<= {TARGET}", ratio <= TARGET, detail)


def named(vectors: np.ndarray, prefix: str, spec) -> Features:
    return Features(tuple(f"{prefix}/{i}.jpg" for i in range(len(vectors))), vectors, spec)


if __name__ == "__main__":
    main()
