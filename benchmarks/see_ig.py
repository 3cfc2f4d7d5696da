"""Integrated gradients beside captum at the same chunk, beside a loop of single passes, and beside a left sum.

All run the same network, images, baseline and number of points, in turns. Speed: the targets are 1.3 times captum
and 1.5 times the loop. Passes: how many a left Riemann sum needs for the completeness gap that ours reaches, over
ours; the target is 2. Memory: the peak of a run on twice the images and twice the steps over that of the smaller.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch
from _harness import alternate, report, table
from captum.attr import IntegratedGradients
from torch import Tensor

from featurelens.backbone import load_backbone
from featurelens.backbone.torch_backbone import TorchBackbone
from featurelens.backbone.untouched import untouched
from featurelens.see.integrated import integrated_gradients
from featurelens.see.randomized import rank_correlation
from featurelens.see.score import Score, gradient
from featurelens.see.targets import class_score, logits, scorer

MOST = 2048  # points of a left sum; a ratio that ends here is a lower bound
TARGETS = {"captum": 1.3, "loop": 1.5, "passes": 2.0, "memory": 1.1}
SHARED = Path(__file__).resolve().parents[2] / "shared"


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument(
        "--backbone", default=None, help="default: the real MobileNetV2, else random resnet18"
    )
    options.add_argument("--images", type=int, default=32)
    options.add_argument("--steps", type=int, default=50)
    options.add_argument("--chunk", type=int, default=32)
    options.add_argument("--size", type=int, default=None)
    options.add_argument("--rounds", type=int, default=2)
    options.add_argument("--device", default="cpu")
    options.add_argument("--peak", action="store_true", help="only run ours once and print the peak memory")
    given = options.parse_args()
    network, x = prepared(given)
    if given.peak:
        peak(network, x, given)
        return
    with untouched(network.module):
        classes = logits(network, x).argmax(1).tolist()
        ground = torch.zeros_like(x)
        speed = speeds(network, x, ground, classes, given)
        passes, gaps = fewer_passes(network, x[:6], ground[:6], classes[:6])
    memory = memory_ratio(given)
    value = {"captum": speed["captum"], "loop": speed["loop"], "passes": passes, "memory": memory}
    met = all(value[k] >= TARGETS[k] for k in ("captum", "loop", "passes")) and memory <= TARGETS["memory"]
    print(
        table(
            ["integrated gradients", "ours is better by", "target"],
            [[k, value[k], TARGETS[k]] for k in value],
        )
    )
    detail = {
        "network": network.spec.name,
        "images": given.images,
        "steps": given.steps,
        "chunk": given.chunk,
    }
    report("see_ig", value, TARGETS, met, detail | gaps)


def prepared(given: argparse.Namespace) -> tuple[TorchBackbone, Tensor]:
    """The network, and normalised images: real photos where they are at hand."""
    real = SHARED / "weights" / "mobilenetv2_100.tflite_in1k"
    name = given.backbone or (f"local-dir:{real}" if real.is_dir() else "resnet18")
    network = load_backbone(
        name, engine="torch", device=given.device, pretrained=name.startswith("local"), size=given.size
    )
    assert isinstance(network, TorchBackbone)
    fit = network.spec.fit
    photos = sorted((SHARED / "data" / "flowers5").rglob("*.jpg"))[:: max(1, 500 // given.images)][
        : given.images
    ]
    if len(photos) == given.images:
        from featurelens.images import decode

        pixels = np.stack([decode(p, fit=fit).pixels for p in photos])
    else:
        shape = (given.images, fit.rows, fit.cols, 3)
        pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    return network, network.normalize(network.prepare(pixels))


def speeds(
    network: TorchBackbone, x: Tensor, ground: Tensor, classes: list[int], given: argparse.Namespace
) -> dict[str, float]:
    score = scorer(network, class_score(classes))
    captum = IntegratedGradients(network.module)
    nodes, weights = np.polynomial.legendre.leggauss(given.steps)

    kept: dict[str, Tensor] = {}

    def ours() -> None:
        found = integrated_gradients(score, x, ground, steps=given.steps, tolerance=None, chunk=given.chunk)
        kept["ours"] = found.values

    def theirs() -> None:
        found = captum.attribute(
            x.clone().requires_grad_(),
            ground,
            target=classes,
            n_steps=given.steps,
            method="gausslegendre",
            internal_batch_size=given.chunk,
        )
        kept["captum"] = found.detach()

    def loop() -> None:
        for i in range(len(x)):
            which, total = torch.tensor([i], device=x.device), torch.zeros_like(x[:1])
            for node, weight in zip((nodes + 1) / 2, weights / 2, strict=True):
                total += (
                    float(weight) * gradient(score, torch.lerp(ground[[i]], x[[i]], float(node)), which)[1]
                )

    times = alternate({"ours": ours, "captum": theirs, "loop": loop}, given.rounds, warm_up=False)
    largest = float((kept["ours"] - kept["captum"]).abs().max() / kept["captum"].abs().max())
    ranks = rank_correlation(kept["ours"].cpu().numpy(), kept["captum"].cpu().numpy())
    print(f"largest difference to captum {largest:.1e} of its largest value, rank correlation {ranks:.7f}")
    rows = [[name, seconds, seconds / times["ours"]] for name, seconds in times.items()]
    print(table([f"{len(x)} images × {given.steps} steps, chunk {given.chunk}", "s", "of ours"], rows))
    return {name: seconds / times["ours"] for name, seconds in times.items()}


def fewer_passes(
    network: TorchBackbone, x: Tensor, ground: Tensor, classes: list[int]
) -> tuple[float, dict[str, object]]:
    """Median over images of (passes of a left sum for our gap) / (our passes)."""
    score = scorer(network, class_score(classes))
    ours = integrated_gradients(score, x, ground, chunk=8)
    rise, needed = (ours.score - ours.base).double(), []
    for i in range(len(x)):
        wanted = max(float(ours.gap[i]), 0.01) * abs(float(rise[i]))
        total, steps = along(score, x, ground, i, np.zeros(1)), 1
        while abs(total / steps - float(rise[i])) > wanted and steps < MOST:
            total += along(score, x, ground, i, (np.arange(steps) + 0.5) / steps)  # the points between
            steps *= 2
        needed.append(steps)
    ratios = [n / s for n, s in zip(needed, ours.steps, strict=True)]
    return float(np.median(ratios)), {"our_steps": ours.steps, "left_steps": needed, "gap": ours.gap.tolist()}


def along(score: Score, x: Tensor, ground: Tensor, i: int, at: np.ndarray) -> float:
    """The sum of the slopes along the line of image i at these places."""
    which, found = torch.full((8,), i, device=x.device), 0.0
    for part in torch.tensor(at, dtype=x.dtype, device=x.device).split(8):
        points = torch.lerp(ground[[i]], x[[i]], part.reshape(-1, 1, 1, 1))
        slope = gradient(score, points, which[: len(part)])[1]
        found += float((slope * (x[[i]] - ground[[i]])).sum(dtype=torch.float64))
    return found


def peak(network: TorchBackbone, x: Tensor, given: argparse.Namespace) -> None:
    import psutil

    with untouched(network.module):
        score = scorer(network, class_score([0] * len(x)))
        integrated_gradients(
            score, x, torch.zeros_like(x), steps=given.steps, tolerance=None, chunk=given.chunk
        )
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    peaks = [int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")]
    print(peaks[0] if peaks else psutil.Process().memory_info().rss)


def memory_ratio(given: argparse.Namespace) -> float:
    """Peak of 16 images × 16 steps over that of 8 × 8, at the same chunk, each in its own process."""
    found = []
    for images, steps in ((8, 8), (16, 16)):
        words = ["--peak", "--images", images, "--steps", steps, "--chunk", 8, "--device", given.device]
        words += ["--backbone", given.backbone] if given.backbone else []
        words += ["--size", given.size] if given.size else []
        done = subprocess.run(
            [sys.executable, __file__, *map(str, words)], capture_output=True, text=True, check=True
        )
        found.append(int(done.stdout.split()[-1]))
    return found[1] / found[0]


if __name__ == "__main__":
    main()
