"""Concepts of real photos: how much of the features a few of them make again, and whether they are about something.

clothing10 (1,000 photos, 10 classes that nothing learns from) under MobileNetV2, 64 concepts, 4 at a time. R² beside
overcomplete's TopKSAE, trained on the same vectors for as many steps, at equal L0 (skipped where it is not installed).
Purity: the largest share of one class among a concept's nine exemplars, beside the same with the labels shuffled.
Steering: for 200 photos, the share in the top ten of the class that the exemplars of a concept of another class have,
before and after +0.5 and -0.5 of that concept.
Needs ../shared, which a user's clone does not have.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
from _harness import report, table

from featurelens import Features, extract, load_backbone
from featurelens.adapt.concepts import Concepts, find_concepts

SHARED = Path(__file__).resolve().parents[2] / "shared"


def agreement(found: Concepts, label_of: dict[str, str]) -> float:
    """The mean over living concepts of the largest share of one class among the exemplars."""
    shares = []
    for one in found.concepts:
        if len(one.exemplars) >= 3:
            counts = Counter(label_of[e.image] for e in one.exemplars)
            shares.append(counts.most_common(1)[0][1] / len(one.exemplars))
    return float(np.mean(shares))


def steered(found: Concepts, features: Features, *, queries: int, weight: float, k: int = 10) -> list[float]:
    """The mean share of a concept's own class in the top k: the query alone, with more of it, with less of it."""
    labels = np.array(features.labels)
    label_of = dict(zip(features.ids, features.labels or (), strict=True))
    about = {}
    for one in found.concepts:
        counts = Counter(label_of[e.image] for e in one.exemplars)
        if counts and counts.most_common(1)[0][1] >= 7:
            about[one.number] = counts.most_common(1)[0][0]
    random = np.random.default_rng(0)
    shares = []
    for i in random.permutation(len(features))[:queries].tolist():
        strange = [number for number, label in about.items() if label != labels[i]]
        number = int(random.choice(strange))
        row = []
        for amount in (0.0, weight, -weight):
            cosines = features.vectors @ found.steer(features.vectors[i], {number: amount})
            cosines[i] = -2  # not itself
            row.append(float((labels[np.argsort(-cosines)[:k]] == about[number]).mean()))
        shares.append(row)
    return np.mean(shares, axis=0).tolist()


def peer(rows: np.ndarray, count: int, active: int, steps: int) -> tuple[float, float, float] | None:
    """(R², L0, dead share) of overcomplete's TopKSAE; None where it cannot be imported."""
    try:
        import matplotlib
        import matplotlib.pyplot as plt
        import torch

        plt.cm.get_cmap = lambda name, *_: matplotlib.colormaps[name]  # 0.3.0 asks for what 3.9 took away
        from overcomplete.sae import TopKSAE, train_sae
    except ImportError:
        return None
    torch.manual_seed(0)
    x = torch.from_numpy((rows - rows.mean(0)) / np.sqrt(((rows - rows.mean(0)) ** 2).sum(1).mean()))
    model = TopKSAE(rows.shape[1], nb_concepts=count, top_k=active, device="cpu")
    batches = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x), batch_size=500, shuffle=True)

    def loss(x, x_hat, pre_codes, codes, dictionary):
        return (x - x_hat).square().sum(1).mean()

    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    train_sae(model, batches, loss, optimizer, nb_epochs=max(1, steps // len(batches)), device="cpu")
    model.eval()
    with torch.no_grad():
        _, codes, again = model(x)
    left = float((x - again).square().sum() / x.square().sum())
    fires = codes > 0
    return 1 - left, float(fires.sum(1).float().mean()), float((~fires.any(0)).float().mean())


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--count", type=int, default=64)
    options.add_argument("--active", type=int, default=4)
    options.add_argument("--steps", type=int, default=500)
    options.add_argument("--queries", type=int, default=200)
    given = options.parse_args()
    if not SHARED.is_dir():
        sys.exit(f"skipped: {SHARED} with the real photos and weights is not here")
    network = load_backbone(f"local-dir:{SHARED / 'weights' / 'mobilenetv2_100.tflite_in1k'}")
    features = extract(SHARED / "data" / "clothing10", network)
    assert isinstance(features, Features)
    started = time.perf_counter()
    found = find_concepts(features, count=given.count, active=given.active, steps=given.steps)
    seconds = time.perf_counter() - started
    dead = len(found.dead) / len(found)
    other = peer(features.vectors, given.count, given.active, given.steps)
    rows = [["featurelens", found.explained, found.fired, dead]]
    rows += [["overcomplete TopKSAE", *other]] if other else []
    print(table(["", "R²", "L0", "dead"], rows))
    print(f"learned in {seconds:.1f} s")
    labels = dict(zip(features.ids, features.labels or (), strict=True))
    random = np.random.default_rng(0)
    mixed = dict(zip(features.ids, random.permutation(features.labels or ()).tolist(), strict=True))
    purity, chance = agreement(found, labels), agreement(found, mixed)
    led = steered(found, features, queries=given.queries, weight=0.5)
    print(table(["", "exemplars", "labels shuffled"], [["purity", purity, chance]]))
    print(table(["share of the concept's class in the top 10", "query", "+0.5", "-0.5"], [["", *led]]))
    detail = {"R²": found.explained, "L0": found.fired, "dead": dead, "seconds": round(seconds, 1)}
    report("concepts: dead of 64, clothing10", round(dead, 4), "<= 0.05", dead <= 0.05, detail)
    if other is not None:
        gap = found.explained - other[0]
        report("concepts: R² above overcomplete's at equal L0", round(gap, 4), ">= -0.01", gap >= -0.01,
               {"featurelens": found.explained, "overcomplete": other[0], "L0": [found.fired, other[1]]})  # fmt: skip
    report("concepts: purity of exemplars above shuffled", round(purity - chance, 4), "> 0.2",
           purity - chance > 0.2, {"purity": purity, "shuffled": chance})  # fmt: skip
    report("concepts: class share gained by +0.5 of a concept", round(led[1] - led[0], 4), "> 0.2",
           led[1] - led[0] > 0.2, dict(zip(("query", "+0.5", "-0.5"), led, strict=True)))  # fmt: skip


if __name__ == "__main__":
    main()
