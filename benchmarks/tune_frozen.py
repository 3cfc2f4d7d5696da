"""The frozen plan (features once, the head on them) against the usual loop that runs the backbone in every epoch.

Both teach a linear head on clothing10 with the real MobileNetV2, the same split, 20 epochs, AdamW, batch 32, from
files to the test accuracy. The usual loop is the one of tutorials: a DataLoader with two workers, the network under
no_grad in eval mode, the head behind it. Usage: tune_frozen.py [--epochs N] [--per-class N] [--rounds N].
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _harness import alternate, report, table
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from featurelens.adapt.division import codes_of, divide
from featurelens.adapt.finetune import finetune
from featurelens.adapt.tuning import Tuning
from featurelens.backbone import load_backbone

SHARED = Path(__file__).resolve().parents[2] / "shared"
NETWORK = SHARED / "weights" / "mobilenetv2_100.tflite_in1k"
TARGET = 10.0


class Files(Dataset[Any]):
    def __init__(self, paths: list[Path], codes: np.ndarray, rows: np.ndarray) -> None:
        self.paths, self.codes, self.rows = paths, codes, rows
        self.transform = transforms.Compose(
            [
                transforms.Resize(256),
                transforms.CenterCrop(224),
                transforms.ToTensor(),
                transforms.Normalize([0.5] * 3, [0.5] * 3),
            ]
        )

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, i: int) -> Any:
        row = int(self.rows[i])
        return self.transform(Image.open(self.paths[row]).convert("RGB")), int(self.codes[row])


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--epochs", type=int, default=20)
    options.add_argument("--per-class", type=int, default=100)
    options.add_argument("--rounds", type=int, default=1)
    given = options.parse_args()
    folder = SHARED / "data" / "clothing10"
    paths = [
        path
        for kind in sorted(p for p in folder.iterdir() if p.is_dir())
        for path in sorted(kind.iterdir())[: given.per_class]
    ]
    labels = [path.parent.name for path in paths]
    codes, names = codes_of(labels)
    division = divide([str(p) for p in paths], codes, names)
    net: Any = load_backbone(f"local-dir:{NETWORK}", engine="torch")
    accuracy: dict[str, float] = {}

    def ours() -> None:
        with tempfile.TemporaryDirectory() as out:
            tuning = Tuning(plan="frozen", epochs=given.epochs)
            tuned = finetune([str(p) for p in paths], net, tuning, labels=labels, division=division, out=out)
            assert tuned.scores is not None
            accuracy["frozen plan"] = tuned.scores.accuracy
            shutil.rmtree(Path(out) / "features", ignore_errors=True)

    def usual() -> None:
        torch.manual_seed(0)
        head = torch.nn.Linear(net.spec.dim, len(names))
        optimizer = torch.optim.AdamW(head.parameters(), lr=1e-3, weight_decay=0.05)
        teach = DataLoader(Files(paths, codes, division.teach), 32, shuffle=True, num_workers=2)
        test = DataLoader(Files(paths, codes, division.test), 32, num_workers=2)
        net.module.eval()
        for _ in range(given.epochs):
            for x, y in teach:
                with torch.no_grad():
                    features = net.module.forward_head(net.module.forward_features(x), pre_logits=True)
                loss = torch.nn.functional.cross_entropy(head(features), y)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            right = 0
            with torch.no_grad():
                for x, y in test:
                    features = net.module.forward_head(net.module.forward_features(x), pre_logits=True)
                    right += int((head(features).argmax(1) == y).sum())
            accuracy["usual loop"] = right / len(division.test)

    seconds = alternate({"frozen plan": ours, "usual loop": usual}, given.rounds, warm_up=False)
    ratio = seconds["usual loop"] / seconds["frozen plan"]
    rows = [[name, value, accuracy[name]] for name, value in seconds.items()]
    print(table([f"{len(paths)} images, {given.epochs} epochs", "seconds", "test accuracy"], rows))
    report(
        f"frozen plan, clothing10, {given.epochs} epochs, times the usual loop",
        round(ratio, 2),
        f">= {TARGET:g}",
        ratio >= TARGET,
        {
            "seconds": {k: round(v, 1) for k, v in seconds.items()},
            "accuracy": accuracy,
            "threads": torch.get_num_threads(),
        },
    )


if __name__ == "__main__":
    main()
