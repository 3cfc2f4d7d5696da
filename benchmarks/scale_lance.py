"""A Lance table of a million vectors: recall@10 of its IVF_RQ index, and p50 beside a matrix product of numpy.

numpy's way: `vectors @ query` over all of them in memory, and the ten largest. Ours: `Gallery.search` on the table, from
the index to the names. `--curve` measures recall and latency from 10,000 rows up to `--rows` as well, which is what
docs/scale.md extrapolates from.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from _harness import alternate, report, table
from _vectors import clustered, given_backbone

from featurelens.features import Features
from featurelens.scale import LanceStore, finder, tend
from featurelens.scale.finder import TableFinder
from featurelens.search import Gallery

DIM, TARGET_RECALL, TARGET_SHARE = 384, 0.99, 1 / 8


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rows", type=int, default=1_000_000)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--folder", type=Path, default=None, help="keep the table here, use it again")
    options.add_argument("--curve", action="store_true", help="also 10,000, 30,000, 100,000 ... rows")
    options.add_argument(
        "--sweep", action="store_true", help="also other numbers of probes and refined candidates"
    )
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        os.environ.setdefault("FEATURELENS_CACHE", scratch)
        folder = given.folder or Path(scratch)
        if given.curve:
            sizes = [10_000 * 10**i * m for i in range(9) for m in (1, 3) if 10_000 * 10**i * m < given.rows]
            curve = [measured(Path(scratch), rows, 2)[0] for rows in sizes]
            print(json.dumps({"curve": curve}))
        found, gallery, vectors, queries = measured(folder, given.rows, given.rounds)
        if given.sweep:
            sweep(gallery, vectors, queries)
    met = found["recall"] >= TARGET_RECALL and found["share"] <= TARGET_SHARE
    name = f"{given.rows:,} x {DIM} in a Lance table, IVF_RQ: recall@10; p50 over numpy exact"
    value = {"recall": round(found["recall"], 4), "p50": round(found["share"], 4)}
    report(name, value, {"recall": f">= {TARGET_RECALL}", "p50": f"<= {TARGET_SHARE}"}, met, found)


def measured(folder: Path, rows: int, rounds: int) -> tuple[dict[str, Any], Gallery, np.ndarray, np.ndarray]:
    """Recall, latencies and bytes of a table of this many rows."""
    clusters = max(1, rows // 100)
    vectors = clustered(rows, DIM, clusters=clusters, seed=1)
    queries = clustered(200, DIM, clusters=clusters, seed=2)
    at, backbone = folder / f"{rows}.lance", given_backbone(DIM)
    built = {"write": 0.0, "index": 0.0}
    if at.exists():
        gallery = Gallery.open(at)
    else:
        (folder / "images").mkdir(exist_ok=True)
        gallery = Gallery.create(folder / "images", backbone=backbone, at=at)
        started = time.perf_counter()
        for start in range(0, rows, 1 << 18):
            some = vectors[start : start + (1 << 18)]
            names = tuple(f"{start + i:09d}.jpg" for i in range(len(some)))
            gallery.add(Features(names, some, backbone.spec), optimize=False)
        built["write"] = time.perf_counter() - started
        started = time.perf_counter()
        tend(_store(gallery).table, always=True, exact_below=min(rows, 10_000))
        built["index"] = time.perf_counter() - started
    store = _store(gallery)
    store.finder = TableFinder(store.table, DIM, gallery.settings.epoch, exact_below=min(rows, 10_000))
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

    def exact() -> float:
        times = []
        for query in queries[:10]:
            begun = time.perf_counter()
            products = vectors @ query
            best = np.argpartition(products, -10)[-10:]
            best[np.argsort(-products[best])]
            times.append(time.perf_counter() - begun)
        return float(np.median(times))

    times = alternate({"featurelens": ours, "numpy": exact}, rounds)
    found = {
        "rows": rows,
        "recall": recall(gallery, vectors, queries),
        "share": times["featurelens"] / times["numpy"],
        "p50_seconds": times,
        "p99_seconds": float(np.quantile(singles, 0.99)),
        "built_seconds": built,
        "bytes": {"data": _live(store), "_indices": _bytes(at / "_indices")},
    }
    lines = [[name, 1000 * seconds, seconds / times["numpy"]] for name, seconds in times.items()]
    print(table([f"search in {rows:,} x {DIM}", "p50, ms", "of numpy"], lines))
    about = f"recall@10 {found['recall']:.4f}; p99 {1000 * found['p99_seconds']:.1f} ms; "
    print(
        about + f"written in {built['write']:.0f} s, indexed in {built['index']:.0f} s; {found['bytes']}\n",
        flush=True,
    )
    return found, gallery, vectors, queries


def recall(gallery: Gallery, vectors: np.ndarray, queries: np.ndarray) -> float:
    """The share of the ten truly nearest that the table finds."""
    products = queries @ vectors.T
    right = np.argpartition(products, -10, axis=1)[:, -10:]
    found = gallery.search_many(queries, k=10)
    names = [{int(hit.name[:-4]) for hit in hits} for hits in found]
    return float(np.mean([len(a & set(b.tolist())) / 10 for a, b in zip(names, right, strict=True)]))


def sweep(gallery: Gallery, vectors: np.ndarray, queries: np.ndarray) -> None:
    """Recall and median latency for other settings."""
    lines = []
    for probes in (8, 16, 32, 64, 128):
        for refine in (2, 5, 10, 20, 50):
            finder.PROBES, finder.REFINE = probes, refine
            times = []
            for query in queries[:50]:
                begun = time.perf_counter()
                gallery.search(query, k=10)
                times.append(time.perf_counter() - begun)
            lines.append([probes, refine, recall(gallery, vectors, queries), 1000 * float(np.median(times))])
    print(table(["probes", "refine", "recall@10", "p50, ms"], lines), flush=True)


def _store(gallery: Gallery) -> LanceStore:
    assert isinstance(gallery.store, LanceStore)
    return gallery.store


def _live(store: LanceStore) -> int:
    """Bytes of the data files of the newest version; older files stay until their versions are forgotten."""
    fragments = store.table.latest().get_fragments()
    return sum(file.file_size_bytes or 0 for fragment in fragments for file in fragment.data_files())


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


if __name__ == "__main__":
    main()
