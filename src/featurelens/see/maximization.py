"""Activation maximization: pictures that make what a network holds as large as they can."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch

from featurelens.backbone.folded import folded
from featurelens.backbone.protocol import Backbone
from featurelens.backbone.torch_backbone import TorchBackbone
from featurelens.backbone.untouched import untouched
from featurelens.errors import InvalidInput
from featurelens.features.progress import Meter, OnProgress
from featurelens.images.decode import DEFAULT_MAX_PIXELS
from featurelens.see.canvas import CANVASES, Canvas
from featurelens.see.climb import Climb
from featurelens.see.natural import best_natural
from featurelens.see.objectives import Objective
from featurelens.see.pictures import Maximized, Picture
from featurelens.see.reading import Reading, with_layers
from featurelens.see.score import at_once
from featurelens.see.spectrum import Spectrum, natural_spectrum, spectrum_of
from featurelens.see.spoken import as_objectives
from featurelens.see.streams import stream
from featurelens.see.transforms import Views


def maximize(
    backbone: Backbone,
    objectives: str | Objective | Sequence[str | Objective],
    *,
    images: Any = None,
    canvas: str = "fourier",
    spectrum: Spectrum | None = None,
    size: int | None = None,
    steps: int = 256,
    rate: float | None = None,
    views: Views | None = None,
    seed: int = 0,
    retries: int = 3,
    batch_size: int = 32,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    on_progress: OnProgress | None = None,
) -> Maximized:
    """Make a picture for each objective ("layer3:42", "layer3:0-31", "logit:281", or Objectives).

    All are made in batches, each with its own random stream: it comes out as it would alone. `images` (what
    `extract` takes; those that cannot be read or have more than `max_pixels` are left out, see `Maximized.skipped`) give
    the best natural score to compare with and, for canvas "maco", the spectrum.
    `canvas` is "fourier", "maco" or "pixel"; `size` the side in pixels (default: the backbone's own); `rate`
    the size of a step (default: the canvas's); `retries` how often a picture that gets no gradient starts
    anew. The network is left as it was. Raises InvalidInput, LayerError, UnknownName.

    >>> from featurelens import load_backbone  # doctest: +SKIP
    >>> net = load_backbone("mobilenetv2_100", engine="torch")  # doctest: +SKIP
    >>> maximize(net, "blocks.2:0-7", size=128, steps=128).save(Path("units.png"))  # doctest: +SKIP
    """
    wanted = as_objectives(objectives)
    net = with_layers(backbone)
    fit = net.spec.fit
    side = (fit.rows, fit.cols) if size is None else (size, size)
    _check(steps=steps, batch_size=batch_size, size=min(side))
    views = views or Views()
    if spectrum is None:
        from_images = images is not None and canvas == "maco"
        spectrum = spectrum_of(images, side, max_pixels=max_pixels) if from_images else natural_spectrum(side)
    if spectrum.size != side:
        raise InvalidInput(f"The spectrum is for {spectrum.size} pixels, the pictures have {side}.")
    board: Canvas = CANVASES.load(canvas)(spectrum)
    most = max(1, min(batch_size, _at_best(net, side)) // views.count)
    chunks = _chunks(wanted, most)
    made: dict[int, list[Picture]] = {}
    skipped: list[tuple[str, str]] = []
    with untouched(net.module):
        net = _quick(net, wanted, side)
        best: list[float | None] = [None] * len(wanted)
        if images is not None:
            best = best_natural(
                net,
                wanted,
                images,
                side,
                max_pixels=max_pixels,
                on_failure=lambda source, reason: skipped.append((source.id, reason)),
            )
        meter = Meter(sum(wanted[i].copies for chunk in chunks for i in chunk) * steps, on_progress)
        for chunk in chunks:
            some = [wanted[i] for i in chunk]
            reading = Reading(net, [layer for one in some for layer in one.layers], side)
            climb = Climb(reading, some, board, views, steps=steps, rate=rate, seed=seed, retries=retries)
            for _ in range(steps):
                climb.step()
                meter.step(climb.pictures)
            for i, pictures in zip(chunk, climb.finish([best[i] for i in chunk]), strict=True):
                made |= {i: pictures}
    how = {
        "method": "activation maximization",
        "backbone": net.spec.name,
        "weights": net.spec.fingerprint,
        "canvas": canvas,
        "spectrum": spectrum.source,
        "size": list(side),
        "steps": steps,
        "rate": board.rate if rate is None else rate,
        "views": asdict(views),
        "seed": seed,
    }
    return Maximized(tuple(one for i in range(len(wanted)) for one in made[i]), how, tuple(skipped))


def _quick(net: TorchBackbone, wanted: Sequence[Objective], side: tuple[int, int]) -> TorchBackbone:
    """A copy with its batch norms folded, but for the layers that are read."""
    x01 = torch.rand(1, 3, *side, generator=stream("any picture")).to(net.device)
    own = (net.spec.fit.rows, net.spec.fit.cols)
    if side != own:
        _refuse_another_size(net, x01, own)
    return folded(net, net.normalize(x01), keep={n.partition("@")[0] for one in wanted for n in one.layers})


def _refuse_another_size(net: TorchBackbone, x01: torch.Tensor, own: tuple[int, int]) -> None:
    """InvalidInput where the network takes only pictures of its own size, as most vision transformers do."""
    try:
        with torch.no_grad():
            net.module(net.normalize(x01))
    except (AssertionError, RuntimeError, ValueError) as error:  # what timm and torchvision raise
        raise InvalidInput(
            f"'{net.spec.name}' does not take pictures of {x01.shape[2]} x {x01.shape[3]} pixels: {error} "
            f"Leave the size out; its own is {own[0]} x {own[1]}."
        ) from error


def _at_best(net: TorchBackbone, side: tuple[int, int]) -> int:
    """Pictures in one pass: on a CPU no more than its caches like."""
    return at_once(torch.empty(0, 3, *side)) if net.device.type == "cpu" else 1 << 30


def _chunks(wanted: Sequence[Objective], most: int) -> list[list[int]]:
    """Objectives of the same layers together, `most` pictures at a time: a pass then ends where they all can be read.

    Chunks are about equally large: of 32 pictures at 24 a time come 16 and 16.
    """
    count = sum(one.copies for one in wanted)
    most = -(-count // -(-count // most))
    chunks: list[list[int]] = []
    order = sorted(range(len(wanted)), key=lambda i: wanted[i].layers)
    for i in order:
        room = chunks and sum(wanted[k].copies for k in chunks[-1]) + wanted[i].copies <= most
        if room and wanted[chunks[-1][0]].layers == wanted[i].layers:
            chunks[-1].append(i)
        else:
            chunks.append([i])
    return chunks


def _check(**counts: int) -> None:
    for name, value in counts.items():
        if not isinstance(value, int | np.integer) or value < 1:
            raise InvalidInput(f"{name}={value} must be a whole number of at least 1.")
