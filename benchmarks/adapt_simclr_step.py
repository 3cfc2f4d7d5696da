"""One SimCLR step of a ResNet-18, augmentation included, beside lightly's transform, loss and DataLoader.

Usage: adapt_simclr_step.py [--device cpu] [--rounds 3] [--steps 3] [--batch 128] [--size 96] [--threads N] [--workers 2].
Both train the same timm network with the same projector widths and optimizer, from decoded images in memory (lightly's as
PIL images), each in a process of its own, in turns. Ours augments whole batches as tensors on the device, runs
channels-last, keeps freed memory for the next step, and multiplies in bf16 where the device can, as `featurelens pretrain`
does. On the CPU the target is judged in fp32, against lightly as its examples have it; told beside it: ours in bf16, and
lightly with all that is ours but the augmentation (channels-last, kept memory), in fp32 and under the same autocast. On a GPU
(--device cuda: 32 pixels, 256 pairs and eight workers, as in lightly's example for CIFAR) ours is judged as it trains there.
"""

from __future__ import annotations

import argparse
import functools
import multiprocessing
import os
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any

import timm
import torch
from _harness import alternate, report, table
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from featurelens.adapt.augment import Augment
from featurelens.adapt.contrastive import loss_of
from featurelens.adapt.kept_memory import kept_memory
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
    images: torch.Tensor,
    batch: int,
    size: int,
    precision: str,
    device: str,
    *,
    workers: int,
    last: bool = False,
) -> Callable[[], None]:
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
    photos = [Image.fromarray(one) for one in images.permute(0, 2, 3, 1).contiguous().numpy()]
    data = Photos(photos, SimCLRTransform(input_size=size))
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


class Apart:
    """A contender in a process of its own, so that what one sets for its process does not reach the other.

    Called, it gives the seconds of a step, after as many untimed ones as lay ready.
    """

    def __init__(self, make: Callable[[], Callable[[], None]], kept: bool, **how: Any) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, other = context.Pipe()
        self._process = context.Process(target=serve, args=(other, make, kept), kwargs=how)
        self._process.start()
        other.close()
        self._pipe.recv()

    def __call__(self) -> float:
        self._pipe.send(True)
        return self._pipe.recv()

    def end(self) -> None:
        self._pipe.send(False)
        self._process.join()


def serve(
    pipe: Any, make: Callable[[], Callable[[], None]], kept: bool, *, device: str, threads: int, steps: int, ready: int
) -> None:  # fmt: skip
    """What runs in the process of a contender: a turn for each message, until it says no."""
    torch.set_num_threads(threads)
    wait = nothing if device == "cpu" else torch.cuda.synchronize
    step = make()
    pipe.send(True)
    with kept_memory(device) if kept else nullcontext():  # for the whole run, as in `pretrain`
        while pipe.recv():
            for _ in range(ready):
                step()
            wait()
            started = time.perf_counter()
            for _ in range(steps):
                step()
            wait()
            pipe.send((time.perf_counter() - started) / steps)


def nothing() -> None:
    """The CPU has done what it was told."""


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
    mine, theirs, tuned = (
        functools.partial(make, drawn, batch, size, device=o.device, **more)
        for make, more in (
            (ours, {}),
            (lightlys, {"workers": workers}),
            (lightlys, {"workers": workers, "last": True}),
        )
    )
    makers = {
        "featurelens": (functools.partial(mine, precision="auto"), True),
        "featurelens, fp32": (functools.partial(mine, precision="fp32"), True),
        "lightly": (functools.partial(theirs, precision="fp32"), False),
        "lightly, tuned alike": (functools.partial(tuned, precision="auto"), True),
        "lightly, tuned alike, fp32": (functools.partial(tuned, precision="fp32"), True),
    }
    how = {"device": o.device, "threads": threads, "steps": steps, "ready": max(READY, workers)}
    contenders = {name: Apart(*maker, **how) for name, maker in makers.items()}
    seconds = alternate(contenders, rounds, warm_up=gpu)
    for contender in contenders.values():
        contender.end()
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
            "against_lightly_tuned_alike": {
                "fp32": seconds["lightly, tuned alike, fp32"] / seconds["featurelens, fp32"],
                "bf16": seconds["lightly, tuned alike"] / seconds["featurelens"],
            },
        },
    )


if __name__ == "__main__":
    main()
