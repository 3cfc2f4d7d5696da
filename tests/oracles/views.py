"""Augmentation once more: one image after the other, one effect after the other, with torchvision's own functions."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torchvision.transforms.v2 import functional as V

from featurelens.adapt.augment import Augment

YIQ = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])


def augmented(how: Augment, images: Tensor, size: int, source: torch.Generator) -> Tensor:
    """uint8 [batch, 3, row, col] → [batch, 3, size, size] in double precision, from the same random numbers."""
    count = len(images)

    def uniform(low: float, high: float) -> Iterator[float]:
        return iter((torch.rand(count, generator=source) * (high - low) + low).tolist())

    area, ratio = uniform(*how.area), uniform(-0.29, 0.29)
    x, y, mirror, angle = uniform(-1, 1), uniform(-1, 1), uniform(0, 1), uniform(-1, 1)
    jitter, bright, contrast, saturation = uniform(0, 1), uniform(-1, 1), uniform(-1, 1), uniform(-1, 1)
    grey, hue, blur, width = uniform(0, 1), uniform(-1, 1), uniform(0, 1), uniform(0.1, 2.0 * size / 96)
    views = []
    for image in images:
        view = image.double() / 255
        share, stretch = next(area), math.exp(next(ratio))
        wide, high = min(1, math.sqrt(share * stretch)), min(1, math.sqrt(share / stretch))
        across, down = next(x) * (1 - wide), next(y) * (1 - high)
        sign, turn = -1 if next(mirror) < how.flip else 1, math.radians(next(angle) * how.turn)
        matrix = [
            [wide * math.cos(turn) * sign, -wide * math.sin(turn), across],
            [high * math.sin(turn) * sign, high * math.cos(turn), down],
        ]
        grid = F.affine_grid(
            torch.tensor([matrix], dtype=torch.float64), [1, 3, size, size], align_corners=False
        )
        view = F.grid_sample(view[None], grid, padding_mode="reflection", align_corners=False)[0]
        on = next(jitter) < how.jitter
        factors = [
            1 + on * amount * next(one)
            for amount, one in ((how.brightness, bright), (how.contrast, contrast))
        ]
        colour = (1 + on * how.saturation * next(saturation)) * (next(grey) >= how.grey)
        view = view * factors[0]
        middle = float(
            np.tensordot(YIQ[0], view.numpy(), 1).mean()
        )  # its luminance, as torchvision's contrast has it
        angle_of_hue = 2 * math.pi * on * how.hue * next(hue)
        yiq = np.tensordot(YIQ, view.numpy(), 1)
        chroma = colour * (yiq[1] + 1j * yiq[2]) * np.exp(1j * angle_of_hue)
        rgb = np.tensordot(np.linalg.inv(YIQ), np.stack((yiq[0], chroma.real, chroma.imag)), 1)
        view = torch.from_numpy(middle + factors[1] * (rgb - middle))
        blurs, sigma = next(blur) < how.blur, next(width)
        views.append((V.gaussian_blur(view, [7, 7], [sigma, sigma]) if blurs else view).clamp(0, 1))
    return torch.stack(views)
