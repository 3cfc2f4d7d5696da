"""Occlusion: what the score loses when a window of the image is covered. Needs no gradients."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from featurelens.errors import InvalidInput
from featurelens.see.score import Score, pieces, scores
from featurelens.shapes import Float

Images = Float[Tensor, "image 3 row col"]


def occlusion(
    score: Score,
    x: Images,
    cover: Images,
    *,
    window: int | None = None,
    stride: int | None = None,
    chunk: int = 16,
) -> Float[Tensor, "image row col"]:
    """For each pixel the mean loss of score over the windows that cover it; signed.

    Zeiler and Fergus, "Visualizing and Understanding Convolutional Networks" (2014). `cover` holds the
    pixels that are shown instead. `window` is the side in pixels (default: an eighth of the smaller side),
    `stride` the step (default: half the window); the last window of a row may reach over the edge.
    """
    rows, cols = int(x.shape[2]), int(x.shape[3])
    window = max(1, round(min(rows, cols) / 8)) if window is None else window
    stride = max(1, window // 2) if stride is None else stride
    if not (0 < window <= min(rows, cols)) or not 0 < stride <= window:
        raise InvalidInput(
            f"window={window} must lie between 1 and {min(rows, cols)} pixels, stride={stride} between 1 and the "
            "window: else places would stay uncovered."
        )
    places = [(r, c) for r in _starts(rows, window, stride) for c in _starts(cols, window, stride)]
    every = torch.arange(len(x), device=x.device)
    whole = scores(score, x, every, chunk=chunk)
    loss = torch.zeros(len(x), rows, cols, dtype=x.dtype, device=x.device)
    count = torch.zeros(rows, cols, dtype=x.dtype, device=x.device)
    for top, left in places:
        count[top : top + window, left : left + window] += 1
    for part in pieces(len(x) * len(places), chunk):
        row = torch.arange(part.start, part.stop, device=x.device)
        which, covered = row // len(places), x[row // len(places)].clone()
        boxes = [places[i] for i in (row % len(places)).tolist()]
        for image, i, (top, left) in zip(covered, which.tolist(), boxes, strict=True):
            box = (slice(top, top + window), slice(left, left + window))
            image[:, *box] = cover[i][:, *box]
        lost = whole[which] - scores(score, covered, which, chunk=chunk)
        for value, i, (top, left) in zip(lost, which.tolist(), boxes, strict=True):
            loss[i, top : top + window, left : left + window] += value
    return loss / count


def _starts(length: int, window: int, stride: int) -> list[int]:
    return [i * stride for i in range(math.ceil((length - window) / stride) + 1)]
