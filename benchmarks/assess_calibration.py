"""How often `assess` calls two equally good sets of features different, and how often its intervals hold the truth.

Usage: assess_calibration.py [SHARE], the share of the runs to make, default 1 (14 minutes on two cores at a load of ten).

Every run draws images and sets of features anew: around the same class centres, with noise of the same size,
so that no set is better. `alike` is the share of the noise that the sets have in common.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
from _harness import report, table
from scipy.stats import binomtest

from featurelens.assess import Measure, knn_probe, linear_probe, retrieval
from featurelens.assess.significance import against_best

LEVEL = 0.05
HEAD = ("", "runs", "different of 2", "different of 5", "difference held", "value held", "accuracy")


@dataclass(frozen=True)
class Setup:
    """What is drawn: images, classes, dimensions, noise against centres of length 1 a dimension, common noise."""

    n: int
    classes: int
    dim: int
    noise: float
    alike: float


SMALL, TWINS = Setup(60, 2, 16, 2.5, 0.0), Setup(60, 2, 16, 2.5, 0.8)
MIDDLE, SIBLINGS = Setup(150, 5, 16, 1.8, 0.0), Setup(150, 5, 16, 1.8, 0.8)
LARGE = Setup(400, 8, 64, 3.5, 0.0)
PLAN = [
    ("kNN, leave one out", 5, [(SMALL, 200), (MIDDLE, 100)]),
    ("kNN, leave one out", 2, [(TWINS, 150), (SIBLINGS, 100), (LARGE, 100)]),
    ("linear probe, 5 folds", 2, [(SMALL, 100), (MIDDLE, 100), (LARGE, 100)]),
    ("mAP", 2, [(SMALL, 100)]),
]
"""Each way with how many sets are compared, and the runs of each set-up."""


def measured(way: str, rows: np.ndarray, labels: np.ndarray) -> Measure:
    if way.startswith("kNN"):
        return knn_probe(rows, labels, ks=(10,))[10]
    return linear_probe(rows, labels) if way.startswith("linear") else retrieval(rows, labels)["mAP"]


def one_run(way: str, sets: int, setup: Setup, seed: int) -> tuple[list[float], list[bool]]:
    """Value and interval of the first set; whether two and all sets were called different, whether the difference's
    interval holds 0."""
    random = np.random.default_rng((seed, setup.n, round(100 * setup.alike)))
    labels = np.arange(setup.n) % setup.classes
    centres = np.random.default_rng(99).standard_normal((setup.classes, setup.dim))[labels]
    common, *own = random.standard_normal((sets + 1, setup.n, setup.dim))
    mixed = (np.sqrt(setup.alike) * common + np.sqrt(1 - setup.alike) * one for one in own)
    found = [measured(way, (centres + setup.noise * noise).astype(np.float32), labels) for noise in mixed]
    two = against_best({"first": found[0], "second": found[1]})[0]
    every = against_best({str(i): one for i, one in enumerate(found)})
    held = two.interval[0] <= 0 <= two.interval[1]
    interval = found[0].interval or (np.nan, np.nan)
    return [found[0].value, *interval], [two.significant, any(one.significant for one in every), held]


def main() -> None:
    share = float(sys.argv[1]) if len(sys.argv) > 1 else 1.0
    started, lines = time.perf_counter(), []
    alarms_of: dict[str, list[np.ndarray]] = {}
    with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        for way, sets, setups in PLAN:
            for setup, full in setups:
                runs = max(4, round(share * full))
                done = list(pool.map(partial(one_run, way, sets, setup), range(runs), chunksize=2))
                values = np.array([numbers for numbers, _ in done])
                told = np.array([answers for _, answers in done])
                truth = values[:, 0].mean()
                holds = (values[:, 1] <= truth) & (truth <= values[:, 2])
                name = (
                    f"{way}: {setup.n} images, {setup.classes} classes, {setup.dim} d, alike {setup.alike:g}"
                )
                alarms = [told[:, 0], told[:, 1]][: 2 if sets > 2 else 1]
                cells = [rate(answers) for answers in alarms] + ["-"] * (2 - len(alarms))
                line = [name, runs, *cells, rate(told[:, 2]), rate(holds), f"{truth:.3f}"]
                print(table(HEAD, [line]), flush=True)
                lines.append(line)
                alarms_of.setdefault(way, []).append(told[:, 0])
    print(f"\nShares of runs, with 95 % Monte-Carlo limits; a false alarm is p < {LEVEL}")
    print(table(HEAD, lines))
    pooled = {way: np.concatenate(parts) for way, parts in alarms_of.items()}
    for way, answers in pooled.items():
        print(f"{way}, two sets, all set-ups: {rate(answers)} of {len(answers)}")
    report(
        "false alarms of tests between two equally good sets of features, all set-ups of each way",
        {way: round(float(answers.mean()), 3) for way, answers in pooled.items()},
        f"none above {LEVEL} by more than its Monte-Carlo error",
        all(limits(answers)[0] <= LEVEL for answers in pooled.values()),
        {
            "limits": {way: [round(end, 3) for end in limits(answers)] for way, answers in pooled.items()},
            "seconds": round(time.perf_counter() - started),
        },
    )


def limits(answers: np.ndarray) -> tuple[float, float]:
    found = binomtest(int(answers.sum()), len(answers)).proportion_ci(method="wilson")
    return float(found.low), float(found.high)


def rate(answers: np.ndarray) -> str:
    low, high = limits(answers)
    return f"{answers.mean():.3f} ({low:.3f}-{high:.3f})"


if __name__ == "__main__":
    main()
