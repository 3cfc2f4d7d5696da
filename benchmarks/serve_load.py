"""Many clients search a large gallery while it is being indexed: are all answered, soon, and as in quiet times?

64 clients (processes apart, one connection each) ask `POST /api/v1/search` of a server of 100,000 vectors for
a minute, while the server's own job indexes a folder of JPEGs into the same gallery. Before that they ask the same
queries of the quiet server; the answers under load, new images left out, must be the same.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from queue import Queue
from typing import Any

import httpx
import numpy as np
from _harness import report, table
from _vectors import clustered
from PIL import Image

from featurelens.backbone import load_backbone
from featurelens.features import Features
from featurelens.search import Gallery

TARGET_P99, K, MORE = 10.0, 10, 40
QUERIES = 256


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--images", type=int, default=100_000)
    options.add_argument("--clients", type=int, default=64)
    options.add_argument("--seconds", type=float, default=60.0)
    options.add_argument("--new", type=int, default=12_000, help="JPEGs to index meanwhile")
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        photos = Path(scratch)
        make_gallery(photos, given.images, given.new)
        command = [sys.executable, "-m", "featurelens", "serve", str(photos), "--port", "0", "--no-update"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout is not None
            address = server.stdout.readline().strip()
            try:
                measure(address, given.images, given.clients, given.seconds)
            finally:
                server.terminate()


def make_gallery(photos: Path, images: int, new: int) -> None:
    """A gallery whose vectors are given, beside JPEGs that it does not know yet."""
    backbone = load_backbone("embedded")
    vectors = clustered(images, backbone.spec.dim, clusters=max(1, images // 100), seed=1)
    with Gallery.create(photos, backbone=backbone) as gallery:
        for start in range(0, images, 1 << 15):
            some = vectors[start : start + (1 << 15)]
            names = tuple(f"given/{start + i:07d}.jpg" for i in range(len(some)))
            gallery.add(Features(names, some, backbone.spec), optimize=False)
        gallery.optimize()
    random = np.random.default_rng(0)
    for i in range(new):
        small = Image.fromarray(random.integers(0, 256, (6, 8, 3), np.uint8))
        small.resize((400, 300), Image.Resampling.BILINEAR).save(photos / f"new{i:06d}.jpg", quality=85)


def measure(address: str, images: int, clients: int, seconds: float) -> None:
    ids = np.linspace(1, images, QUERIES, dtype=int).tolist()
    with httpx.Client(base_url=address, timeout=60) as client:
        quiet = {one: answer(client, one) for one in ids}  # also the warm-up
        quiet_times = [timed(client, one) for one in ids]
        crowd = run(address, ids, clients, seconds / 4)
        job = client.post("/api/v1/jobs", json={"kind": "index"}).json()
        while client.get(f"/api/v1/jobs/{job['id']}").json()["done"] == 0:
            time.sleep(0.05)
        loaded = run(address, ids, clients, seconds)
        now = client.get(f"/api/v1/jobs/{job['id']}").json()
        client.delete(f"/api/v1/jobs/{job['id']}")
    rows = [["one client, quiet", *line(quiet_times, seconds=sum(quiet_times))]]
    rows.append([f"{clients} clients", *line(crowd["times"], seconds=seconds / 4)])
    rows.append([f"{clients} clients, indexing", *line(loaded["times"], seconds=seconds)])
    print(table([f"search of {images:,} vectors", "p50, ms", "p99, ms", "p99/p50", "searches/s"], rows))
    wrong = sum(found[:K] != quiet[one][:K] for one, found in loaded["answers"])
    p50, p99 = np.quantile(loaded["times"], [0.5, 0.99])
    print(
        f"{len(loaded['times']):,} searches, {len(loaded['errors'])} errors, {wrong} answers unlike the quiet ones; "
        f"{now['done']:,} images indexed meanwhile, job then {now['state']}"
    )
    value = {"p99/p50": round(p99 / p50, 2), "errors": len(loaded["errors"]), "other answers": wrong}
    still = now["state"] == "running"
    met = p99 / p50 <= TARGET_P99 and not loaded["errors"] and not wrong and still
    detail = {
        "p50_ms": round(1000 * p50, 2),
        "p99_ms": round(1000 * p99, 2),
        "searches": len(loaded["times"]),
        "indexed": now["done"],
        "indexing_to_the_end": still,
        "first_errors": loaded["errors"][:3],
    }
    target = {"p99/p50": f"<= {TARGET_P99:g}", "errors": 0, "other answers": 0}
    report(f"{clients} clients search {images:,} vectors while indexing", value, target, met, detail)


def line(times: list[float], *, seconds: float) -> list[Any]:
    """p50, p99, their ratio, and searches a second."""
    p50, p99 = np.quantile(times, [0.5, 0.99])
    return [1000 * p50, 1000 * p99, p99 / p50, len(times) / seconds]


def answer(client: httpx.Client, one: int) -> list[tuple[str, float]]:
    """The names and similarities of the hits that were given before, new images left out."""
    said = client.post("/api/v1/search", json={"ids": [one], "k": MORE})
    said.raise_for_status()
    hits = said.json()["hits"]
    return [(h["name"], round(h["similarity"], 6)) for h in hits if h["name"].startswith("given/")]


def timed(client: httpx.Client, one: int) -> float:
    begun = time.perf_counter()
    answer(client, one)
    return time.perf_counter() - begun


def run(address: str, ids: list[int], clients: int, seconds: float) -> dict[str, list[Any]]:
    """All clients ask for so many seconds, from two processes of their own so that they do not slow the server's."""
    context = multiprocessing.get_context("spawn")
    results: Any = context.Queue()
    groups = 2
    workers = [
        context.Process(target=crowd_of, args=(address, ids, clients // groups, seconds, seed, results))
        for seed in range(groups)
    ]
    for worker in workers:
        worker.start()
    found: dict[str, list[Any]] = {"times": [], "answers": [], "errors": []}
    for _ in workers:
        for name, values in results.get().items():
            found[name] += values
    for worker in workers:
        worker.join()
    return found


def crowd_of(
    address: str, ids: list[int], clients: int, seconds: float, seed: int, results: Queue[dict[str, Any]]
) -> None:
    """Threads of one process, each a client with a connection of its own."""
    from threading import Thread

    found: dict[str, list[Any]] = {"times": [], "answers": [], "errors": []}

    def ask(number: int) -> None:
        random = np.random.default_rng([seed, number])
        end = time.monotonic() + seconds
        with httpx.Client(base_url=address, timeout=60) as client:
            while time.monotonic() < end:
                one = int(random.choice(ids))
                begun = time.perf_counter()
                try:
                    said = answer(client, one)
                except (httpx.HTTPError, json.JSONDecodeError, KeyError) as error:
                    found["errors"].append(f"{type(error).__name__}: {error}")
                    continue
                found["times"].append(time.perf_counter() - begun)
                found["answers"].append((one, said))

    threads = [Thread(target=ask, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    results.put(found)


if __name__ == "__main__":
    main()
