"""Images a second that a GPU embeds, from decoded pixels in memory, and the GPU hours of a billion images.

Usage: gpu_encoders.py [--batch 256] [--rounds 8]. Pixels go to the GPU and vectors come back each time, as in `index`;
the weights are random, which costs the same. Without CUDA it says so and ends.
"""

from __future__ import annotations

import argparse
import time
from typing import Literal

import numpy as np
import torch
from _harness import report, table

from featurelens.backbone import load_backbone

NETWORKS = ("mobilenetv3_large_100", "resnet50", "vit_small_patch16_224")


def rate(name: str, precision: Literal["auto", "fp32"], batch: int, rounds: int) -> float:
    """Images a second after three batches of warming up."""
    backbone = load_backbone(name, engine="torch", device="cuda", precision=precision, pretrained=False)
    fit = backbone.spec.fit
    pixels = np.random.default_rng(0).integers(0, 256, (batch, fit.rows, fit.cols, 3), dtype=np.uint8)
    for _ in range(3):
        backbone.embed(pixels)
    started = time.perf_counter()
    for _ in range(rounds):
        backbone.embed(pixels)
    return batch * rounds / (time.perf_counter() - started)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=8)
    options = parser.parse_args()
    if not torch.cuda.is_available():
        print("There is no CUDA here: nothing to measure.")
        return
    lines = []
    for name in NETWORKS:
        low = rate(name, "auto", options.batch, options.rounds)
        whole = rate(name, "fp32", options.batch, options.rounds)
        lines.append([name, round(low), round(whole), round(1e9 / low / 3600, 1)])
    print(
        table(["images/s", "bf16", "fp32", "GPU hours of a billion, bf16"], lines),
        torch.cuda.get_device_name(),
    )
    report(
        f"images/s embedded in bf16, {torch.cuda.get_device_name()}",
        {line[0]: line[1] for line in lines},
        "told, not judged",
        True,
    )


if __name__ == "__main__":
    main()
