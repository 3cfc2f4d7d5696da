"""What each ingredient of the procedural images adds: runs that leave one out, looked at on real photos.

Every run has the same recipe, steps and seed; three seeds of the whole mixture give the scatter. On a CPU the network is
small (resnet10t, 64 pixels, 100 steps of 128 pairs); with --device cuda it is trained by the recipe of the embedded
backbone, for 400 steps of 2,048 pairs. Measured are generalised means of the last stage but one, which the embedded
backbone is read at, without the hand-made branches: mAP and nearest neighbour on clothing10 and flowers5, and how often
one rendering finds the other on programmes of the whole mixture.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _harness import machine, report, table
from embedded_quality import SHARED, retrieval

from featurelens.adapt.augment import Augment
from featurelens.adapt.contrastive import held_aside, pretrain
from featurelens.adapt.learner import Learner
from featurelens.adapt.recipe import EMBEDDED, Recipe, read_recipe
from featurelens.adapt.sources import procedural
from featurelens.images.decode import decode
from featurelens.images.fit import Fit
from featurelens.nn.encoders import Peaks

SCENES, TEXTURES = ("objects", "leaves", "surfaces"), ("spectra", "networks", "gratings", "cells")
RUNS: dict[str, dict[str, int]] = {
    "everything": {},
    **{f"without {name}": {name: 0} for name in (*SCENES, *TEXTURES)},
}
SEEDS = 3  # of everything


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--steps", type=int, help="default: 100, on a GPU 400")
    parser.add_argument("--pairs", type=int, help="default: 128, on a GPU 2048")
    parser.add_argument("--only", nargs="*", help="names of runs; default: all")
    o = parser.parse_args()
    gpu = o.device != "cpu"
    base = large(o.steps or 400, o.pairs or 2048) if gpu else small(o.steps or 100, o.pairs or 128)
    print(machine())
    sets = photos(base.phases[-1][1])
    lines: list[list[object]] = [["random weights", *figures(Learner(base).to(o.device), sets), "", ""]]
    print(lines[-1])
    with tempfile.TemporaryDirectory() as folder:
        for name, mixture in RUNS.items():
            if o.only and name not in o.only:
                continue
            for seed in range(SEEDS if name == "everything" else 1):
                recipe = replace(base, seed=seed, mixture=base.mixture | mixture)
                torch.compiler.reset()  # it compiles eight networks, then no more
                started = time.perf_counter()
                source = procedural(recipe, device=o.device)
                learner = pretrain(
                    recipe, source.pairs, source.held, Path(folder) / f"{name}-{seed}", device=o.device,
                    say=lambda text: None,
                )  # fmt: skip
                health = held_aside(learner, source.held, Augment(**recipe.augment), recipe)
                minutes = (time.perf_counter() - started) / 60
                lines.append(
                    [
                        f"{name}, seed {seed}",
                        *figures(learner, sets),
                        f"{health.nearest:.2f}",
                        f"{minutes:.1f}",
                    ]
                )
                print(lines[-1], flush=True)
    heads = [f"{name} {what}" for name in sets for what in ("mAP", "1-NN")]
    print(table(["run", *heads, "finds its twin", "minutes"], lines))
    whole = [line[1 : 1 + len(heads)] for line in lines if str(line[0]).startswith("everything")]
    spread = np.ptp(np.array(whole, float), axis=0).max() if whole else 0.0
    report(
        "procedural ingredients left out one by one: largest scatter of three seeds in any column",
        round(float(spread), 3),
        "told, not judged",
        True,
        {"heads": heads, "runs": lines, "phases": base.phases},
    )


def small(steps: int, pairs: int) -> Recipe:
    """A small network in few steps, with images and augmentation much as in the embedded backbone's recipe."""
    return Recipe(
        name="ablation", architecture="resnet10t", phases=((steps, 64, pairs),), warmup=steps // 10, ema=0.98,
        pool=1024, pool_size=80, refresh=4,
        augment={"area": [0.25, 1.0], "turn": 20.0, "hue": 0.08, "grey": 0.15},
    )  # fmt: skip


def large(steps: int, pairs: int) -> Recipe:
    """The recipe of the embedded backbone, cut short."""
    whole = read_recipe(EMBEDDED)
    phases = ((steps, whole.phases[-1][1], pairs),)
    return replace(whole, name="ablation", phases=phases, warmup=steps // 10, ema=0.98, pool=whole.pool // 4)


def photos(size: int) -> dict[str, tuple[torch.Tensor, np.ndarray]]:
    """The sets, uint8 `[image, 3, row, col]`, and the class of each image."""
    found = {}
    for name in ("clothing10", "flowers5"):
        files = sorted(p for p in (SHARED / name).glob("*/*") if p.is_file())
        if not files:
            raise SystemExit(f"This benchmark needs the photos in {SHARED / name}.")
        pixels = np.stack([decode(file, fit=Fit(size, size, crop_pct=1.0)).pixels for file in files])
        found[name] = torch.from_numpy(pixels).permute(0, 3, 1, 2), np.array([p.parent.name for p in files])
    return found


@torch.no_grad()
def figures(learner: Learner, sets: dict[str, tuple[torch.Tensor, np.ndarray]]) -> list[float]:
    """mAP and nearest neighbour on each set, of the averaged network's last stage but one."""
    learner.eval()
    encoder: Any = learner.encoder
    device = next(learner.parameters()).device
    found = []
    for images, labels in sets.values():
        rows = []
        for part in images.split(128):
            pixels = learner.normalize(part.to(device).float() / 255)
            maps = encoder.forward_intermediates(pixels, indices=[-2], intermediates_only=True)[0].float()
            rows.append(Peaks(maps.shape[1])(maps).cpu())
        found += [round(one, 3) for one in retrieval(torch.cat(rows).numpy(), labels)]
    learner.train()
    return found


if __name__ == "__main__":
    main()
