"""One billion images on paper: bytes, shards, hours, money, recall, latency, and what queues do to it.

Measures what a machine can tell in minutes (images a second of one core; recall, latency and bytes of Lance tables of
growing size), extrapolates with models that are printed beside the figures, and simulates the queue before the
searchers with the measured service times. Prices are options: they are assumptions, not measurements.
"""

from __future__ import annotations

import argparse
import heapq
import json
import math
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from _harness import machine, table
from PIL import Image
from scale_lance import DIM, measured

HOURS = 3600.0


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--images", type=float, default=1e9)
    options.add_argument("--sizes", type=int, nargs="+", default=[30_000, 100_000, 300_000])
    options.add_argument("--curve", type=Path, help="a file with the line that scale_lance.py --curve prints")
    options.add_argument("--bytes-per-image", type=float, default=150e3, help="of the originals")
    options.add_argument("--core-hour", type=float, default=0.04, help="price of an hour of one core")
    options.add_argument(
        "--terabyte-month", type=float, default=23.0, help="price of a terabyte of object storage"
    )
    options.add_argument("--million-reads", type=float, default=0.4, help="price of a million GET requests")
    given = options.parse_args()
    print(machine(), "\n")
    rate = images_per_second()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["FEATURELENS_CACHE"] = folder
        if given.curve:
            curve = json.loads(given.curve.read_text())["curve"]
        else:
            curve = [measured(Path(folder), rows, 2)[0] for rows in given.sizes]
    plan(given, rate, curve)
    queues(curve, given.images)


def images_per_second(count: int = 200) -> float:
    """Photos of 640 x 480 that one core decodes and encodes a second with the embedded backbone."""
    from featurelens.backbone import load_backbone
    from featurelens.images import decode

    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for i in range(count):
            small = rng.integers(0, 256, (12, 16, 3), dtype=np.uint8)
            paths.append(Path(folder) / f"{i}.jpg")
            Image.fromarray(small).resize((640, 480), Image.Resampling.BICUBIC).save(paths[-1], quality=90)
        backbone = load_backbone("embedded", threads=1)
        fit = backbone.spec.fit

        def batch(some: list[Path]) -> None:
            backbone.embed(np.stack([decode(path, fit=fit).pixels for path in some]))

        batch(paths[:32])
        started = time.process_time()  # of one thread: what others do on this machine does not count
        for start in range(0, count, 32):
            batch(paths[start : start + 32])
        return count / (time.process_time() - started)


def plan(given: argparse.Namespace, rate: float, curve: list[dict[str, Any]]) -> None:
    """What is to be stored, computed and paid, with the model of each figure."""
    n, last = given.images, curve[-1]
    data = last["bytes"]["data"] / last["rows"]
    index = last["bytes"]["_indices"] / last["rows"]
    core_hours = n / rate / HOURS
    index_seconds, power = grown([(one["rows"], one["built_seconds"]["index"]) for one in curve], n)
    linear = last["built_seconds"]["index"] / last["rows"] * n
    latency, recall = fitted(curve, n)
    stored = n * (data + index)
    lines = [
        [
            "originals",
            f"{n * given.bytes_per_image / 1e12:,.0f} TB",
            f"{given.bytes_per_image / 1e3:.0f} kB each (assumed)",
        ],
        [
            "table",
            f"{n * data / 1e12:,.2f} TB",
            f"{data:,.0f} B a row at {last['rows']:,} rows, {DIM} numbers each",
        ],
        ["indexes", f"{n * index / 1e12:,.2f} TB", f"{index:,.0f} B a row"],
        ["tar shards", f"{n / 10_000:,.0f}", "10,000 images each, one unit of work, one commit"],
        ["data files", f"{n / 262_144:,.0f}", "after compaction, 262,144 rows each"],
        [
            "encoding",
            f"{core_hours:,.0f} core hours",
            f"{rate:.0f} images/s of one core, 640 x 480, embedded backbone",
        ],
        ["encoding", f"{core_hours * given.core_hour:,.0f}", f"at {given.core_hour} a core hour (assumed)"],
        [
            "indexing",
            f"{index_seconds / HOURS:,.0f} h",
            f"as rows^{power:.2f}, fitted, from the largest table measured, all its cores; linear: {linear / HOURS:,.0f} h",
        ],
        [
            "reading originals",
            f"{n / 1e6 * given.million_reads:,.0f}",
            f"single objects at {given.million_reads} a million (assumed)",
        ],
        [
            "keeping the table",
            f"{stored / 1e12 * given.terabyte_month:,.0f} a month",
            f"{given.terabyte_month} a TB (assumed)",
        ],
        [
            "search p50",
            _milliseconds(latency),
            "a + b sqrt(n): as many cells as sqrt(n), 64 of them looked at",
        ],
        ["recall@10", f"{recall:.3f}", "1 - recall grows with log n, fitted; below .99: look at more cells"],
    ]
    print(table([f"{n:,.0f} images", "figure", "how it is had"], lines), "\n")


def _milliseconds(seconds: float) -> str:
    return (
        f"{1000 * seconds:,.0f} ms"
        if seconds < math.inf
        else "not to be had: measure larger tables (--sizes)"
    )


def grown(measured: list[tuple[int, float]], n: float) -> tuple[float, float]:
    """Seconds at n rows, and the power of the rows (at least 1) that runs through the measured times."""
    rows, seconds = np.array(measured, float).T
    power = max(1.0, float(np.polyfit(np.log(rows), np.log(seconds), 1)[0]))
    return seconds[-1] * (n / rows[-1]) ** power, power


def fitted(curve: list[dict[str, Any]], n: float) -> tuple[float, float]:
    """Latency as a + b sqrt(n), lost recall as a line over log n, by least squares through the measured tables."""
    rows = np.array([one["rows"] for one in curve], float)
    seconds = np.array([one["p50_seconds"]["featurelens"] for one in curve])
    lost = 1 - np.array([one["recall"] for one in curve])
    slope, base = np.polyfit(np.sqrt(rows), seconds, 1)
    grows, start = np.polyfit(np.log(rows), lost, 1)
    # too small tables differ by noise only, which three decades make ten times as large: better no figure than that
    latency = base + slope * math.sqrt(n) if slope * math.sqrt(rows[-1]) > 0.5 * base > 0 else math.inf
    return latency, 1 - max(0.0, start + max(0.0, grows) * math.log(n))


def queues(curve: list[dict[str, Any]], n: float) -> None:
    """Latency that a client sees when queries come at random, for some numbers of searchers and loads."""
    last = curve[-1]
    median = min(fitted(curve, n)[0], last["p50_seconds"]["featurelens"] * math.sqrt(n / last["rows"]))
    # service times are log-normal with the measured spread between p50 and p99
    spread = max(0.05, math.log(last["p99_seconds"] / last["p50_seconds"]["featurelens"]) / 2.326)
    lines = []
    for searchers in (8, 64):
        capacity = searchers / (median * math.exp(spread**2 / 2))
        for load in (0.5, 0.7, 0.9, 0.97):
            seen = simulated(searchers, load * capacity, median, spread)
            lines.append(
                [searchers, load, load * capacity, *(1000 * float(np.quantile(seen, q)) for q in (0.5, 0.99))]
            )
    print(table(["searchers", "load", "queries/s", "p50, ms", "p99, ms"], lines))
    print(
        f"service: log-normal, median {1000 * median:.0f} ms, sigma {spread:.2f}; Poisson arrivals; 50,000 queries"
    )


def simulated(searchers: int, rate: float, median: float, spread: float, count: int = 50_000) -> np.ndarray:
    """Seconds from arrival to answer of each query: one queue, first come first served."""
    rng = np.random.default_rng(0)
    arrivals = np.cumsum(rng.exponential(1 / rate, count))
    services = median * np.exp(spread * rng.standard_normal(count))
    free = [0.0] * searchers
    seen = np.empty(count)
    for i, (arrival, service) in enumerate(zip(arrivals, services, strict=True)):
        start = max(arrival, heapq.heappop(free))
        heapq.heappush(free, start + service)
        seen[i] = start + service - arrival
    return seen[count // 10 :]  # the queue is empty at first


if __name__ == "__main__":
    main()
