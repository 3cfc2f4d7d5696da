"""Retrieval with real ImageNet weights on real photos: mAP and 1-NN beside the published figures.

Needs ../shared (photos and weights), which a user's clone does not have.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
from _harness import report, table

SHARED = Path(__file__).resolve().parents[2] / "shared"
README = {("clothing10", "MobileNetV2"): (0.403, 0.712), ("flowers5", "MobileNetV2"): (0.492, 0.820),
          ("clothing10", "SqueezeNet 1.1"): (0.313, 0.633), ("flowers5", "SqueezeNet 1.1"): (0.459, 0.782)}  # fmt: skip
NETWORKS = {
    "MobileNetV2": ("local-dir:{weights}/mobilenetv2_100.tflite_in1k", None),
    "SqueezeNet 1.1": ("torchvision:squeezenet1_1", "squeezenet1_1_torchvision.safetensors"),
}


def mean_average_precision(vectors: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """(mAP, 1-NN accuracy) of cosine retrieval: each image is the query, all others are the gallery."""
    near = vectors @ vectors.T
    np.fill_diagonal(near, -np.inf)
    order = np.argsort(-near, axis=1)[:, :-1]
    right = labels[order] == labels[:, None]
    precision = right.cumsum(1) / np.arange(1, right.shape[1] + 1)
    return float(((precision * right).sum(1) / right.sum(1)).mean()), float(right[:, 0].mean())


def main() -> None:
    if not SHARED.is_dir():
        sys.exit(f"skipped: {SHARED} with the real photos and weights is not here")
    from featurelens import extract, load_backbone

    rows, worst = [], 0.0
    for network, (name, file) in NETWORKS.items():
        weights = SHARED / "weights" / file if file else None
        backbone = load_backbone(name.format(weights=SHARED / "weights"), weights=weights)
        for data in ("clothing10", "flowers5"):
            started = time.perf_counter()
            features = extract(SHARED / "data" / data, backbone)
            seconds = time.perf_counter() - started
            found = mean_average_precision(features.vectors, np.array(features.labels))
            expected = README[data, network]
            worst = max(worst, abs(found[0] - expected[0])) if network == "MobileNetV2" else worst
            rows.append([data, network, *found, *expected, len(features.ids) / seconds])
    print(table(["set", "network", "mAP", "1-NN", "expected mAP", "expected 1-NN", "images/s"], rows))
    report(
        "retrieval mAP of MobileNetV2, largest distance to the reference",
        round(worst, 4),
        "<= 0.01",
        worst <= 0.01,
        {f"{r[0]} {r[1]}": [round(r[2], 4), round(r[3], 4)] for r in rows},
    )


if __name__ == "__main__":
    main()
