"""One SimCLR step of a ResNet-18 on the CPU, augmentation included, beside lightly's transform, loss and DataLoader(2).

Usage: adapt_simclr_step.py [--rounds 3] [--steps 3] [--batch 128] [--size 96] [--threads N]. Both train the same timm
network with the same projector widths and optimizer, from decoded images in memory (lightly's as PIL images). Ours
augments whole batches as tensors, runs channels-last, and multiplies in bf16 where the processor can, as `featurelens
pretrain` does. The target is judged in fp32, against lightly as its examples have it. Told beside it: ours in bf16, lightly
channels-last, and lightly channels-last under the same autocast.
"""

from __future__ import annotations

import argparse
import os
import time
import warnings
from collections.abc import Callable, Iterator

import timm
import torch
from _harness import alternate, report, table
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from featurelens.adapt.augment import Augment
from featurelens.adapt.contrastive import loss_of
from featurelens.adapt.learner import Learner
from featurelens.adapt.pairs import ImagePairs
from featurelens.adapt.precision import autocast, computes_bf16
from featurelens.adapt.recipe import Recipe
from featurelens.images.procedural import render_tensor

IMAGES, SIDE, READY = 512, 128, 2  # READY: batches that the workers have made while the other contender ran


class Photos(Dataset):
    """The images as PIL, each seen twice by lightly's transform."""

    def __init__(self, images: list[Image.Image], transform: Callable) -> None:
        self.images, self.transform = images, transform

    def __len__(self) -> int:
        return 1_000_000

    def __getitem__(self, at: int) -> list[torch.Tensor]:
        return self.transform(self.images[at % len(self.images)])


def ours(images: torch.Tensor, batch: int, size: int, precision: str) -> Callable[[], None]:
    recipe = Recipe(phases=((1, size, batch),), projector=(512, 128), precision=precision)
    torch.manual_seed(0)
    learner = Learner(recipe).to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(learner.parameters(), lr=1e-3)
    pairs, augment, source = ImagePairs(images), Augment(blur=0.5, grey=0.2), torch.Generator().manual_seed(0)

    def step() -> None:
        first, second = pairs.at(0, batch, source)
        views = [augment(first, size, source), augment(second, size, source)]
        with autocast(precision, "cpu"):
            loss = loss_of(recipe, learner, learner, views)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    return step


def lightlys(
    images: list[Image.Image], batch: int, size: int, *, last: bool = False, precision: str = "fp32"
) -> Callable[[], None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from lightly.loss import NTXentLoss
        from lightly.models.modules import SimCLRProjectionHead
        from lightly.transforms import SimCLRTransform
    torch.manual_seed(0)
    encoder = timm.create_model("resnet18", num_classes=0)
    head = SimCLRProjectionHead(512, 512, 128)
    if last:
        encoder = encoder.to(memory_format=torch.channels_last)
    criterion = NTXentLoss(temperature=0.2)
    optimizer = torch.optim.AdamW([*encoder.parameters(), *head.parameters()], lr=1e-3)
    data = Photos(images, SimCLRTransform(input_size=size))
    loader = DataLoader(data, batch_size=batch, shuffle=False, num_workers=2, prefetch_factor=1)
    batches: Iterator = iter(loader)

    def step() -> None:
        views = next(batches)
        if last:
            views = [v.contiguous(memory_format=torch.channels_last) for v in views]
        with autocast(precision, "cpu"):
            first, second = head(encoder(views[0])), head(encoder(views[1]))
        loss = criterion(first.float(), second.float())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    return step


def timed(step: Callable[[], None], steps: int) -> Callable[[], float]:
    """Seconds a step, after as many untimed ones as lay ready."""

    def run() -> float:
        for _ in range(READY):
            step()
        started = time.perf_counter()
        for _ in range(steps):
            step()
        return (time.perf_counter() - started) / steps

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in (("rounds", 3), ("steps", 3), ("batch", 128), ("size", 96), ("threads", 0)):
        parser.add_argument(f"--{name}", type=int, default=default)
    o = parser.parse_args()
    threads = o.threads or (len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2)
    torch.set_num_threads(threads)
    drawn = render_tensor(programmes=IMAGES, views=1, size=SIDE, seed=1)
    photos = [Image.fromarray(one) for one in drawn.permute(0, 2, 3, 1).contiguous().numpy()]
    steps = {
        "featurelens": ours(drawn, o.batch, o.size, "auto"),
        "featurelens, fp32": ours(drawn, o.batch, o.size, "fp32"),
        "lightly": lightlys(photos, o.batch, o.size),
        "lightly, channels-last": lightlys(photos, o.batch, o.size, last=True),
        "lightly, channels-last, autocast": lightlys(photos, o.batch, o.size, last=True, precision="auto"),
    }
    seconds = alternate({name: timed(step, o.steps) for name, step in steps.items()}, o.rounds, warm_up=False)
    rows = [[name, s, o.batch / s, seconds["lightly"] / s] for name, s in seconds.items()]
    print(
        table(
            [f"ResNet-18, {o.size} px, {o.batch} pairs, {threads} threads", "s/step", "pairs/s", "times"],
            rows,
        )
    )
    in_fp32, ratio = (seconds["lightly"] / seconds[f"featurelens{how}"] for how in (", fp32", ""))
    report(
        "a SimCLR step on the CPU, augmentation included, times as fast as lightly's (both fp32; ours in bf16)",
        {"fp32": round(in_fp32, 2), "bf16": round(ratio, 2) if computes_bf16("cpu") else None},
        {"fp32": ">= 1.3"},
        in_fp32 >= 1.3,  # at equal precision
        {
            "seconds": seconds,
            "against_lightly_tuned_alike": seconds["lightly, channels-last, autocast"]
            / seconds["featurelens"],
        },
    )


if __name__ == "__main__":
    main()
