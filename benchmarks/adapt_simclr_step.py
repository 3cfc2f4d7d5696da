"""One SimCLR step of a ResNet-18, augmentation included, beside lightly's transform, loss and DataLoader.

Usage: adapt_simclr_step.py [--device cpu] [--rounds 3] [--steps 3] [--batch 128] [--size 96] [--threads N] [--workers 2].
Both train the same timm network with the same projector widths and optimizer, from decoded images in memory (lightly's as
PIL images). Ours augments whole batches as tensors on the device, runs channels-last, and multiplies in bf16 where the
device can, as `featurelens pretrain` does. On the CPU the target is judged in fp32, against lightly as its examples have
it; told beside it: ours in bf16, lightly channels-last, and lightly channels-last under the same autocast. On a GPU
(--device cuda: 32 pixels, 256 pairs and eight workers, as in lightly's example for CIFAR) ours is judged as it trains there.
"""

from __future__ import annotations

import argparse
import functools
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

IMAGES, READY = 512, 2  # READY: batches that the workers have made while the other contender ran


class Photos(Dataset):
    """The images as PIL, each seen twice by lightly's transform."""

    def __init__(self, images: list[Image.Image], transform: Callable) -> None:
        self.images, self.transform = images, transform

    def __len__(self) -> int:
        return 1_000_000

    def __getitem__(self, at: int) -> list[torch.Tensor]:
        return self.transform(self.images[at % len(self.images)])


def ours(images: torch.Tensor, batch: int, size: int, precision: str, device: str) -> Callable[[], None]:
    recipe = Recipe(phases=((1, size, batch),), projector=(512, 128), precision=precision)
    torch.manual_seed(0)
    learner = Learner(recipe).to(device).to(memory_format=torch.channels_last)
    if device != "cpu":
        learner.encoder.compile()
    optimizer = torch.optim.AdamW(learner.parameters(), lr=1e-3)
    pairs, augment = ImagePairs(images.to(device)), Augment(blur=0.5, grey=0.2)
    source = torch.Generator(device).manual_seed(0)

    def step() -> None:
        first, second = pairs.at(0, batch, source)
        views = [augment(first, size, source), augment(second, size, source)]
        with autocast(precision, device):
            loss = loss_of(recipe, learner, learner, views)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    return step


def lightlys(
    images: list[Image.Image], batch: int, size: int, device: str, workers: int,
    *, last: bool = False, precision: str = "fp32",
) -> Callable[[], None]:  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from lightly.loss import NTXentLoss
        from lightly.models.modules import SimCLRProjectionHead
        from lightly.transforms.simclr_transform import SimCLRTransform
    torch.manual_seed(0)
    encoder = timm.create_model("resnet18", num_classes=0).to(device)
    head = SimCLRProjectionHead(512, 512, 128).to(device)
    if last:
        encoder = encoder.to(memory_format=torch.channels_last)
    criterion = NTXentLoss(temperature=0.2)
    optimizer = torch.optim.AdamW([*encoder.parameters(), *head.parameters()], lr=1e-3)
    data = Photos(images, SimCLRTransform(input_size=size))
    loader = DataLoader(data, batch_size=batch, shuffle=False, num_workers=workers, prefetch_factor=1)
    batches: Iterator = iter(loader)

    def step() -> None:
        views = [v.to(device) for v in next(batches)[:2]]
        if last:
            views = [v.contiguous(memory_format=torch.channels_last) for v in views]
        with autocast(precision, device):
            first, second = head(encoder(views[0])), head(encoder(views[1]))
        loss = criterion(first.float(), second.float())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    return step


def timed(step: Callable[[], None], steps: int, ready: int, wait: Callable[[], None]) -> Callable[[], float]:
    """Seconds a step, after as many untimed ones as lay ready."""

    def run() -> float:
        for _ in range(ready):
            step()
        wait()
        started = time.perf_counter()
        for _ in range(steps):
            step()
        wait()
        return (time.perf_counter() - started) / steps

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    for name in ("rounds", "steps", "batch", "size", "threads", "workers"):
        parser.add_argument(f"--{name}", type=int)
    o = parser.parse_args()
    gpu = o.device != "cpu"
    rounds, steps = o.rounds or 3, o.steps or (40 if gpu else 3)
    batch, size, workers = (
        o.batch or (256 if gpu else 128),
        o.size or (32 if gpu else 96),
        o.workers or (8 if gpu else 2),
    )
    threads = o.threads or (len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2)
    torch.set_num_threads(threads)
    drawn = render_tensor(programmes=IMAGES, views=1, size=size if gpu else 128, seed=1)
    photos = [Image.fromarray(one) for one in drawn.permute(0, 2, 3, 1).contiguous().numpy()]
    theirs = functools.partial(lightlys, photos, batch, size, o.device, workers)
    contenders = {
        "featurelens": ours(drawn, batch, size, "auto", o.device),
        "featurelens, fp32": ours(drawn, batch, size, "fp32", o.device),
        "lightly": theirs(),
        "lightly, channels-last": theirs(last=True),
        "lightly, channels-last, autocast": theirs(last=True, precision="auto"),
    }
    wait = torch.cuda.synchronize if gpu else lambda: None
    ready = max(READY, workers)
    seconds = alternate(
        {name: timed(step, steps, ready, wait) for name, step in contenders.items()}, rounds, warm_up=gpu
    )
    rows = [[name, s, 2 * batch / s, seconds["lightly"] / s] for name, s in seconds.items()]
    where = torch.cuda.get_device_name() if gpu else f"{threads} threads"
    print(table([f"ResNet-18, {size} px, {batch} pairs, {where}", "s/step", "images/s", "times"], rows))
    in_fp32, ratio = (seconds["lightly"] / seconds[f"featurelens{how}"] for how in (", fp32", ""))
    target, judged = ("bf16", 1.5) if gpu else ("fp32", 1.3), ratio if gpu else in_fp32
    report(
        f"a SimCLR step on {where if gpu else 'the CPU'}, augmentation included, times as fast as lightly's "
        + ("(at 32 px; fp32 and bf16)" if gpu else "(both fp32; ours in bf16)"),
        {"fp32": round(in_fp32, 2), "bf16": round(ratio, 2) if computes_bf16(o.device) else None},
        {target[0]: f">= {target[1]}"},
        judged >= target[1],
        {
            "seconds": seconds,
            "against_lightly_tuned_alike": seconds["lightly, channels-last, autocast"]
            / seconds["featurelens"],
        },
    )


if __name__ == "__main__":
    main()
