"""32 clients at a time: queries that go through the engine together, against one query at a time.

The same clients ask the service in turns, each its next query as soon as it has its answer: as they please; as they please
with `--batch 1`; and so that one request is in the service at a time (the others wait, and their waiting counts). They
send pictures (decoded, embedded, searched for among 100,000 vectors of the embedded backbone), and, for comparison,
ask for images of the gallery, which no network sees. Clients and services share this machine.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from _harness import report, table
from serve_load import make_gallery
from web_page import photos

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from fixtures.load import Answered, send_all
from fixtures.overload import pictures
from fixtures.serve_process import ServeProcess, serve_process

TARGET = 1.5


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--images", type=int, default=100_000)
    options.add_argument("--clients", type=int, default=32)
    options.add_argument("--seconds", type=float, default=8.0)
    options.add_argument("--rounds", type=int, default=3)
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder, queries = Path(scratch, "gallery"), Path(scratch, "queries")
        folder.mkdir()
        queries.mkdir()
        make_gallery(folder, given.images, 0)
        photos(queries, 64)
        ids = np.linspace(1, given.images, 256, dtype=int).tolist()
        asked = {
            "pictures": pictures(queries, 64),
            "ids": [json.dumps({"ids": [one], "k": 10}) for one in ids],
        }
        patient = ("--latency", "60")
        with (
            serve_process(folder, *patient, log="text") as together,
            serve_process(folder, *patient, "--batch", "1", log="text") as single,
        ):
            ways = {
                "together": (together, None),
                "--batch 1": (single, None),
                "one request at a time": (single, 1),
            }
            measured = {kind: in_turns(ways, bodies, given) for kind, bodies in asked.items()}
    told(measured, given.clients)


def in_turns(
    ways: dict[str, tuple[ServeProcess, int | None]], bodies: list[str], given: Any
) -> dict[str, dict[str, float]]:
    """Answers a second, p50 and p95 of each way: medians of the rounds, every second one in reverse order."""
    for service, _ in ways.values():
        send_all(service.port, bodies, clients=given.clients, seconds=3)
    found: dict[str, list[Answered]] = {name: [] for name in ways}
    for turn in range(given.rounds):
        for name in list(ways)[:: 1 if turn % 2 == 0 else -1]:
            service, at_once = ways[name]
            load = {"clients": given.clients, "seconds": given.seconds, "seed": turn, "at_once": at_once}
            found[name].append(send_all(service.port, bodies, **load))
    for name, runs in found.items():
        assert all(set(run.counts()) == {200} for run in runs), f"{name}: {[run.counts() for run in runs]}"
    return {
        name: {
            "per second": statistics.median(len(run.seconds) / given.seconds for run in runs),
            "p50": statistics.median(float(np.quantile(run.seconds, 0.5)) for run in runs),
            "p95": statistics.median(float(np.quantile(run.seconds, 0.95)) for run in runs),
        }
        for name, runs in found.items()
    }


def told(measured: dict[str, dict[str, dict[str, float]]], clients: int) -> None:
    rows = [
        [f"{kind}, {name}", one["per second"], 1000 * one["p50"], 1000 * one["p95"]]
        for kind, ways in measured.items()
        for name, one in ways.items()
    ]
    print(table([f"{clients} clients ask with", "answers/s", "p50, ms", "p95, ms"], rows))
    ways = measured["pictures"]
    together = ways.pop("together")
    for name, other in ways.items():
        times = round(together["per second"] / other["per second"], 2)
        met = times >= TARGET and together["p95"] <= other["p95"]
        claim = f"{clients} clients with pictures, engine asked together: times the throughput of {name}"
        report(claim, times, f">= {TARGET:g}, p95 no longer", met, {"together": together, name: other})


if __name__ == "__main__":
    main()
