"""Do fusion and an attention head help? Against the best single backbone and the plain head, on two real sets.

Usage: adapt_fusion.py [--sets clothing10,flowers5] [--only fusion|attention]. Real MobileNetV2 and SqueezeNet weights
and the embedded backbone; every fusion and head is fitted anew in each of five folds and judged on the other images.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from _harness import report, table
from torch.nn import functional as F

from featurelens.adapt.fusing import fuse, fused
from featurelens.assess import Measure, in_folds, paired
from featurelens.assess.fusion_gain import FusionGain, fusion_gain
from featurelens.assess.interval import share_interval
from featurelens.backbone import load_backbone
from featurelens.backbone.protocol import Backbone
from featurelens.features import Features, extract
from featurelens.images.decode import decode
from featurelens.nn import AttentionHead

SHARED = Path(__file__).resolve().parents[2] / "shared"
FUSIONS = ("concat", "weights", "attention", "pca", "whitening")


def backbones() -> dict[str, Backbone]:
    weights = SHARED / "weights"
    return {
        "embedded": load_backbone("embedded", threads=1),
        "mobilenetv2": load_backbone(
            f"local-dir:{weights / 'mobilenetv2_100.tflite_in1k'}", engine="torch", device="cpu"
        ),
        "squeezenet": load_backbone(
            "torchvision:squeezenet1_1",
            weights=weights / "squeezenet1_1_torchvision.safetensors",
            engine="torch",
            device="cpu",
        ),
    }


def fitting(kind: str, *, only: int | None = None) -> Callable:
    """How a fusion is fitted in a fold; with `only`, of that one source: what training on labels does by itself."""
    chosen = slice(None) if only is None else slice(only, only + 1)

    def fit(sources, labels):
        fusion = fuse(kind, list(sources)[chosen], labels=labels)
        return lambda given: fused(fusion, list(given)[chosen])

    return fit


def fusions(folder: Path, networks: dict[str, Backbone]) -> FusionGain:
    sets = {name: extract(folder, net, workers=1) for name, net in networks.items()}
    vectors = {name: one.vectors for name, one in sets.items() if isinstance(one, Features)}
    labels = next(iter(sets.values())).labels
    ways = {kind: fitting(kind) for kind in FUSIONS}
    place = list(vectors).index("mobilenetv2")
    ways["trained like attention, mobilenetv2 alone"] = fitting("attention", only=place)
    return fusion_gain(vectors, labels, ways)


def heads(folder: Path, net: Backbone, *, epochs: int = 15, seed: int = 0) -> dict[str, Measure]:
    """Accuracy in five folds of heads trained on the frozen backbone's maps, all alike but for their attention."""
    files = sorted(p for p in folder.glob("*/*") if p.suffix.lower() in (".jpg", ".jpeg", ".png"))
    names = sorted({p.parent.name for p in files})
    codes = np.array([names.index(p.parent.name) for p in files])
    parts = []
    for start in range(0, len(files), 32):
        pixels = np.stack([decode(p, fit=net.spec.fit).pixels for p in files[start : start + 32]])
        parts.append(torch.from_numpy(net.maps(pixels)).half())
    maps, truth = torch.cat(parts), torch.from_numpy(codes)
    right = {kind: np.full(len(files), np.nan) for kind in ("none", "spatial")}
    for split in in_folds(codes, folds=5, seed=seed):
        for kind, row in right.items():
            torch.manual_seed(seed)
            head = AttentionHead(maps.shape[1], len(names), attention=kind, dropout=0.2)
            teach = torch.from_numpy(split.train)
            optimizer = torch.optim.AdamW(head.parameters(), lr=2e-3, weight_decay=0.05)
            rates = torch.optim.lr_scheduler.OneCycleLR(
                optimizer, 5e-3, total_steps=epochs * -(-len(teach) // 64)
            )
            for _ in range(epochs):
                for batch in teach[torch.randperm(len(teach))].split(64):
                    loss = F.cross_entropy(
                        head(maps[batch].float()).logits, truth[batch], label_smoothing=0.1
                    )
                    optimizer.zero_grad()
                    loss.backward()
                    optimizer.step()
                    rates.step()
            head.eval()
            with torch.no_grad():
                found = torch.cat(
                    [head(maps[b].float()).logits for b in torch.from_numpy(split.test).split(64)]
                )
            row[split.test] = found.argmax(1).numpy() == codes[split.test]
    return {
        kind: Measure(
            "accuracy", float(row.mean()), len(row), "five folds", interval=share_interval(row), per_item=row
        )
        for kind, row in right.items()
    }


def show_fusion(name: str, gain: FusionGain) -> None:
    rows = [
        [way, *(str(found[m]).partition(": ")[2] for m in gain.best)] for way, found in gain.measures.items()
    ]
    print(table([name, *gain.best], rows), "\n" + str(gain) + "\n", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", default="clothing10,flowers5")
    parser.add_argument("--only", choices=("fusion", "attention"))
    options = parser.parse_args()
    networks, detail, told = backbones(), {}, {}
    for name in options.sets.split(","):
        folder = SHARED / "data" / name
        if options.only != "attention":
            gain = fusions(folder, networks)
            show_fusion(name, gain)
            detail[name] = [
                {k: getattr(g, k) for k in ("a", "b", "measure", "difference", "interval", "p")}
                for g in gain.gains
            ]
            best = max(gain.gains, key=lambda g: (g.measure == "mAP", g.difference))
            told[f"{name}: {best.a} against {best.b}, mAP"] = round(best.difference, 3)
        if options.only != "fusion":
            found = heads(folder, networks["mobilenetv2"])
            rows = []
            for kind, one in found.items():
                gap = paired(one, found["none"], names=(kind, "plain head"))
                low, high = gap.interval
                rows.append(
                    [
                        kind,
                        str(one).partition(": ")[2],
                        f"{gap.difference:+.3f} [{low:+.3f}, {high:+.3f}]",
                        gap.p,
                    ]
                )
                detail[f"{name}, {kind} head"] = {
                    "accuracy": one.value,
                    "gain": gap.difference,
                    "interval": gap.interval,
                }
            print(
                table(
                    [f"{name}, heads on MobileNetV2's map", "accuracy", "against the plain head", "p"], rows
                ),
                "\n",
            )
            told[f"{name}: spatial attention against the plain head"] = round(
                found["spatial"].value - found["none"].value, 3
            )
    report(
        "fusion against the best single backbone, attention against the plain head",
        told,
        "told as it falls",
        True,
        detail,
    )


if __name__ == "__main__":
    main()
