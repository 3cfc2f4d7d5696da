"""The best that natural images reach for an objective."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from featurelens.features.sources import Source
from featurelens.images.decode import DEFAULT_MAX_PIXELS
from featurelens.see.objectives import Objective
from featurelens.see.passing import batches_of
from featurelens.see.reading import Reading, with_layers
from featurelens.shapes import UInt8


def best_natural(
    backbone: Any,
    objectives: Sequence[Objective],
    images: Any,
    size: tuple[int, int],
    *,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    on_failure: Callable[[Source, str], object] | None = None,
) -> list[float | None]:
    """The largest score of each objective over the images, fitted to `size`; None if none could be read.

    One pass for all objectives; an image may have `max_pixels`. Those that are left out go to `on_failure`, with
    the reason. The network must be `untouched` around it.
    """
    net = with_layers(backbone)
    reading = Reading(net, [layer for one in objectives for layer in one.layers], size)

    def work(pixels: UInt8[np.ndarray, "batch row col 3"]) -> list[float]:
        x = torch.from_numpy(pixels).to(net.device).permute(0, 3, 1, 2).float() / 255
        with torch.no_grad():
            outputs = reading(x, detach=True)
            return [float(one.score(outputs).max()) for one in objectives]

    fit = replace(net.spec.fit, rows=size[0], cols=size[1])
    found = [best for _, best in batches_of(images, fit, work, max_pixels=max_pixels, on_failure=on_failure)]
    return [max(scores) for scores in zip(*found, strict=True)] if found else [None] * len(objectives)
