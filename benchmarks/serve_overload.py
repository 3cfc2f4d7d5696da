"""A service at twice what it can do, ended and killed in mid-load: who is answered, how soon, and is anything lost?

128 clients send pictures (`POST /api/v1/search`, JPEGs of 640 x 480 as data URIs, each to be decoded, embedded and searched
for) at random times, twice as many a second as the service can answer, for five minutes. `--latency` is four times the
quiet median that was measured before. Then SIGTERM at full load, and kill -9 with a new start. Clients and service share
this machine.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
from _harness import report, table
from web_page import photos

from featurelens.search import Gallery

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from fixtures.load import send_all
from fixtures.overload import crowded, ended_in_mid_load, pictures, restarted, unhurried
from fixtures.serve_process import serve_process

TIMES_P50, TIMES_MEMORY, RESTART_S = 5.0, 1.05, 3.0


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=float, default=300.0)
    options.add_argument("--clients", type=int, default=128)
    options.add_argument("--images", type=int, default=1000)
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        photos(folder, given.images)
        with Gallery.create(folder) as gallery:
            gallery.update()
        bodies = pictures(folder, 64)
        with serve_process(folder, log="text") as service:
            quiet, capacity = unhurried(service, bodies)
        p50 = float(np.median(quiet.of(200)))
        with serve_process(folder, "--latency", f"{4 * p50:.3f}", log="text") as service:
            send_all(service.port, bodies, clients=2, seconds=5)
            load = {"clients": given.clients, "rate": 2 * capacity}
            crowd, memory = crowded(service, bodies, seconds=given.seconds, **load)
            killed = restarted(service, folder, bodies)
        with serve_process(folder, "--latency", f"{4 * p50:.3f}") as service:
            lost, ended = ended_in_mid_load(service, bodies, clients=given.clients, rate=2 * capacity)
    p99 = float(np.quantile(crowd.of(200), 0.99))
    rows = [["one client", len(quiet.of(200)), *quantiles(quiet.of(200)), 0]]
    rows.append(
        [f"{given.clients} clients", len(crowd.of(200)), *quantiles(crowd.of(200)), len(crowd.of(429))]
    )
    rows.append(["  those refused", len(crowd.of(429)), *quantiles(crowd.of(429)), ""])
    print(table(["pictures", "answered", "p50, ms", "p95, ms", "p99, ms", "refused"], rows))
    counts = crowd.counts()
    others = sum(count for status, count in counts.items() if status not in (200, 429))
    print(
        f"capacity {capacity:.0f} a second; statuses {counts}; SIGTERM: {ended}; memory {memory[0] >> 20} MiB at first"
    )
    value = {
        "p99 accepted/p50 quiet": round(p99 / p50, 2),
        "other than 200 and 429": others,
        "memory, last/first": round(memory[1] / memory[0], 3),
        "lost at SIGTERM": lost,
        "s from kill -9 to an answer": round(killed, 2),
    }
    target = {
        "p99/p50": f"<= {TIMES_P50:g}",
        "others": 0,
        "memory": f"<= {TIMES_MEMORY:g}",
        "lost": 0,
        "restart": f"<= {RESTART_S:g}",
    }
    met = p99 <= TIMES_P50 * p50 and not others and memory[1] <= TIMES_MEMORY * memory[0]
    met = met and not lost and killed <= RESTART_S
    detail = {"quiet_p50_ms": 1000 * p50, "p99_ms": 1000 * p99, "capacity": capacity, "statuses": counts}
    detail |= {"statuses after SIGTERM": ended, "answered a second": len(crowd.of(200)) / given.seconds}
    minutes = f"{given.seconds / 60:g} minutes"
    report(f"{given.clients} clients at twice the capacity for {minutes}", value, target, met, detail)


def quantiles(seconds: np.ndarray) -> list[float]:
    return [1000 * float(q) for q in np.quantile(seconds, [0.5, 0.95, 0.99])] if len(seconds) else [0.0] * 3


if __name__ == "__main__":
    main()
