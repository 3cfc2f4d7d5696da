"""Search p50 over a million vectors, beside scikit-learn; recall against exact search, on real features too.

scikit-learn's way: `cosine_similarity(query, vectors)` and `argsort`. Ours: `Gallery.search` through the
HNSW graph with exact re-scoring, names and all. The real features are those of the photos in ../shared and of
perturbed copies of them (crops, mirror images, brightness), where that folder and a backbone are at hand.
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

from featurelens.backbone.protocol import Backbone
from featurelens.features import Features, extract
from featurelens.search import Gallery, hnsw
from featurelens.search.cache import State
from featurelens.search.exact import exact_nearest
from featurelens.search.nearest import through_graph
from featurelens.search.vectors import Block, Snapshot

TARGET_SPEED, TARGET_RECALL = 1 / 100, 0.99
SHARED = Path(__file__).resolve().parents[2] / "shared"


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--images", type=int, default=1_000_000)
    options.add_argument("--copies", type=int, default=15, help="perturbed copies of each real photo")
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--backbone", default=None, help="of the real features; default: embedded")
    options.add_argument("--folder", type=Path, default=None, help="keep the gallery here, use it again")
    given = options.parse_args()
    real = real_recall(given.backbone, given.copies)
    with tempfile.TemporaryDirectory() as scratch:
        speed(given.folder or Path(scratch), given.images, given.rounds, real)


def speed(folder: Path, images: int, rounds: int, real: dict[str, object]) -> None:
    from sklearn.metrics.pairwise import cosine_similarity

    clusters = max(1, images // 100)
    vectors = clustered(images, 384, clusters=clusters, seed=1)
    queries = clustered(200, 384, clusters=clusters, seed=2)
    backbone = given_backbone(384)
    started = time.perf_counter()
    if (folder / "gallery" / "gallery.db").exists():
        gallery = Gallery.open(folder / "gallery")
    else:
        gallery = Gallery.create(folder, backbone=backbone, at=folder / "gallery")
        for start in range(0, images, 1 << 18):
            some = vectors[start : start + (1 << 18)]
            names = tuple(f"{start + i:07d}.jpg" for i in range(len(some)))
            gallery.add(Features(names, some, backbone.spec), optimize=False)
        gallery.optimize()
    built = time.perf_counter() - started
    for query in queries[:20]:
        gallery.search(query, k=10)
    singles: list[float] = []

    def ours() -> float:
        times = []
        for query in queries:
            begun = time.perf_counter()
            gallery.search(query, k=10)
            times.append(time.perf_counter() - begun)
        singles.extend(times)
        return float(np.median(times))

    def theirs() -> None:
        np.argsort(-cosine_similarity(queries[:1], vectors)[0])[:10]

    times = alternate({"featurelens": ours, "scikit-learn": theirs}, rounds)
    found = gallery.search_many(queries, k=10)
    right = gallery.search_many(queries, k=10, exact=True)
    shared = [len({h.id for h in a} & {h.id for h in b}) for a, b in zip(found, right, strict=True)]
    recall = sum(shared) / (10 * len(queries))
    gallery.close()
    ratio = times["featurelens"] / times["scikit-learn"]
    rows = [[name, 1000 * seconds, seconds / times["scikit-learn"]] for name, seconds in times.items()]
    print(table([f"search in {images:,} × 384", "p50, ms", "of scikit-learn"], rows))
    print(
        f"p99 {1000 * np.quantile(singles, 0.99):.2f} ms; built in {built:.0f} s; "
        f"recall@10 {recall:.4f} here, {real['recall']} on {real['images']} real images ({real['backbone']})"
    )
    met = ratio <= TARGET_SPEED and recall >= TARGET_RECALL and real["recall"] >= TARGET_RECALL
    detail = {"p50_seconds": times, "recall_clustered": recall, "real": real, "built_seconds": built}
    name = f"search p50 in {images:,} vectors over scikit-learn; recall@10"
    value = {"p50": round(ratio, 5), "recall": round(recall, 4), "recall on real features": real["recall"]}
    report(name, value, {"p50": f"<= {TARGET_SPEED}", "recall": f">= {TARGET_RECALL}"}, met, detail)


def real_recall(name: str | None, copies: int) -> dict[str, object]:
    """recall@10 of the graph on the features of real photos and their copies."""
    if not SHARED.is_dir():
        return {"recall": float("nan"), "images": 0, "backbone": f"{SHARED} is not here"}
    from featurelens.backbone import load_backbone

    backbone = load_backbone(name or "embedded")
    rows = _features(backbone, copies).vectors
    ids = np.arange(1, len(rows) + 1)
    snapshot = Snapshot(State("real", len(rows), 0), (Block(ids, rows),))
    queries = np.ascontiguousarray(rows[:: max(1, len(rows) // 500)])
    exact, _ = exact_nearest(snapshot, queries, 10)
    with tempfile.TemporaryDirectory() as folder:
        entry = hnsw.write_graph(Path(folder), rows.shape[1], snapshot, threads=os.cpu_count() or 1)
        graph = hnsw.open_graph(Path(folder), entry)
        assert graph is not None
        found = [through_graph(graph, snapshot, query, 10)[0] for query in queries]
    shared = [len(set(a.tolist()) & set(b.tolist())) for a, b in zip(found, exact, strict=True)]
    recall = sum(shared) / (10 * len(queries))
    return {"recall": round(recall, 4), "images": len(rows), "backbone": backbone.spec.name}


def _features(backbone: Backbone, copies: int) -> Features:
    """Features of every photo of the two sets, and of `copies` perturbed ones of each."""
    from featurelens.images import decode

    paths = sorted(p for d in ("clothing10", "flowers5") for p in (SHARED / "data" / d).rglob("*.jpg"))
    rng = np.random.default_rng(0)

    def views():
        for path in paths:
            whole = decode(path).pixels
            yield whole
            for _ in range(copies):
                yield perturbed(whole, rng)

    return extract_stream(backbone, views())


def extract_stream(backbone: Backbone, images) -> Features:
    """Like `extract`, a thousand images at a time."""
    parts, batch = [], []
    for image in images:
        batch.append(image)
        if len(batch) == 1000:
            parts.append(extract(batch, backbone).vectors)
            batch = []
    if batch:
        parts.append(extract(batch, backbone).vectors)
    rows = np.concatenate(parts)
    return Features(tuple(map(str, range(len(rows)))), rows, backbone.spec)


def perturbed(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A crop of 60 to 95 per cent of the area, perhaps mirrored, under another brightness."""
    rows, cols, _ = image.shape
    side = np.sqrt(rng.uniform(0.6, 0.95))
    height, width = int(rows * side), int(cols * side)
    top, left = rng.integers(0, rows - height + 1), rng.integers(0, cols - width + 1)
    crop = image[top : top + height, left : left + width]
    crop = crop[:, ::-1] if rng.random() < 0.5 else crop
    return np.clip(crop * rng.uniform(0.7, 1.3), 0, 255).astype(np.uint8)


if __name__ == "__main__":
    main()
