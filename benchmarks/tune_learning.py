"""How much fine-tuning brings on real photos: 5-fold accuracy of the real MobileNetV2, frozen against last stages.

Every image is tested once, by a network that did not learn from it (StratifiedKFold, shuffled, seed 0). The difference
is paired over images. Single precision: the figures do not hang on whether the processor computes bf16. Targets:
clothing10 frozen at least .79, the last stages above it; flowers5 at least .86.
Usage: tune_learning.py [--epochs N] [--stages N] [--sets clothing10,flowers5] [--markdown FILE].
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _harness import machine, report, table
from sklearn.model_selection import StratifiedKFold

from featurelens.adapt.division import Division, codes_of
from featurelens.adapt.finetune import finetune
from featurelens.adapt.scores import wilson
from featurelens.adapt.tuning import Tuning
from featurelens.assess.result import Measure
from featurelens.assess.significance import paired
from featurelens.backbone import load_backbone

SHARED = Path(__file__).resolve().parents[2] / "shared"
NETWORK = SHARED / "weights" / "mobilenetv2_100.tflite_in1k"
TARGETS = {"clothing10": 0.79, "flowers5": 0.86}


def folds(
    folder: Path, net: Any, tuning: Tuning, store: Path, some: int, only_frozen: bool
) -> tuple[np.ndarray, np.ndarray, float]:
    """Whether each image was told right: by the head on frozen features, and by the tuned network; seconds in all."""
    paths = sorted(path for path in folder.glob("*/*") if path.is_file())
    labels = [path.parent.name for path in paths]
    codes, _ = codes_of(labels)
    names = {str(path): i for i, path in enumerate(paths)}
    right = np.full((2, len(paths)), np.nan)
    started, frozen = time.perf_counter(), Tuning(plan="frozen")
    splits = list(StratifiedKFold(5, shuffle=True, random_state=0).split(paths, codes))
    for number, (teach, test) in enumerate(splits[:some]):
        division = Division(teach.astype(np.int64), test.astype(np.int64), f"fold {number + 1} of 5")
        for row, plan in enumerate((frozen, tuning)[: 1 if only_frozen else 2]):
            tuned = finetune(
                [str(p) for p in paths], net, plan, labels=labels, division=division, store=store
            )
            said = tuned.logits.argmax(1)
            for name, code, answer in zip(tuned.test, tuned.test_codes, said, strict=True):
                right[row, names[name]] = code == answer
        so_far = [round(float(np.nanmean(one)), 3) for one in right if not np.isnan(one).all()]
        print(f"{folder.name}, folds 1 to {number + 1}: {so_far}", flush=True)
    right = right[:, ~np.isnan(right[0])]
    return right[0], right[1], time.perf_counter() - started


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--epochs", type=int, default=8)
    options.add_argument("--folds", type=int, default=5, help="only the first so many of the five")
    options.add_argument("--stages", type=int, default=2)
    options.add_argument("--lr", type=float, default=None)
    options.add_argument("--decay", type=float, default=0.7)
    options.add_argument("--sets", default="clothing10,flowers5")
    options.add_argument("--markdown", type=Path, default=None, help="also write the table into this file")
    options.add_argument("--only-frozen", action="store_true", help="leave the network as it is")
    options.add_argument("--store", type=Path, default=None, help="where features are kept for another run")
    given = options.parse_args()
    net: Any = load_backbone(f"local-dir:{NETWORK}", engine="torch", device="cpu")
    tuning = Tuning(
        plan="last", stages=given.stages, epochs=given.epochs, lr=given.lr, decay=given.decay, smoothing=0.1,
        precision="fp32",
    )  # fmt: skip
    rows, value, met = [], {}, given.folds == 5
    for name in given.sets.split(","):
        with tempfile.TemporaryDirectory() as folder:
            frozen, last, seconds = folds(
                SHARED / "data" / name,
                net,
                tuning,
                (given.store or Path(folder)) / name,
                given.folds,
                given.only_frozen,
            )
        for what, right in (("frozen", frozen), (f"last {given.stages} stages", last)):
            if np.isnan(right).any():
                continue
            low, high = wilson(float(right.mean()), len(right))
            value[f"{name}, {what}"] = round(float(right.mean()), 3)
            rows.append([name, what, f"{right.mean():.3f}", f"{low:.3f} to {high:.3f}", ""])
        met = met and bool(frozen.mean() >= TARGETS[name])
        if not given.only_frozen:
            test = paired(*(Measure("accuracy", r.mean(), len(r), "", per_item=r) for r in (last, frozen)))
            low, high = test.interval
            rows[-1][-1] = f"{test.difference:+.3f} ({low:+.3f} to {high:+.3f}, p {test.p:.4f})"
            met = met and test.difference > 0
        print(f"{name}: {seconds:.0f} s, {torch.get_num_threads()} threads")
    head = ["images", "plan", f"accuracy, {given.folds} of 5 folds", "95 % interval", "over frozen, paired"]
    print(table(head, rows))
    if given.markdown:
        lines = [
            "| " + " | ".join(head) + " |",
            "|---" * len(head) + "|",
            *("| " + " | ".join(r) + " |" for r in rows),
        ]
        lines += ["", f"`python benchmarks/tune_learning.py`, {machine(('torch', 'timm'))}."]
        given.markdown.write_text("\n".join(lines) + "\n", encoding="utf-8")
    report("fine-tuning on real photos, 5-fold accuracy", value, TARGETS, met, {"tuning": tuning.to_json()})


if __name__ == "__main__":
    main()
