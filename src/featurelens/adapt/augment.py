"""Augmentation of a whole batch at once, on its device, with parameters of its own for every image."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from featurelens.shapes import Float, UInt8

_YIQ = torch.tensor([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])


@dataclass(frozen=True)
class Augment:
    """How strongly views differ: `area` (smallest, largest) of the crop, `turn` in degrees, the rest as shares."""

    area: tuple[float, float] = (0.25, 1.0)
    turn: float = 20.0
    flip: float = 0.5
    brightness: float = 0.4
    contrast: float = 0.4
    saturation: float = 0.4
    hue: float = 0.1
    jitter: float = 0.8
    grey: float = 0.15
    blur: float = 0.3

    def __call__(
        self, images: UInt8[Tensor, "batch 3 row col"], size: int, source: torch.Generator
    ) -> Float[Tensor, "batch 3 size size"]:
        """Float views in [0, 1] of `size` × `size` pixels; random numbers come from `source` only.

        >>> views = Augment()(torch.zeros(2, 3, 32, 32, dtype=torch.uint8), 24, torch.Generator())
        >>> tuple(views.shape)
        (2, 3, 24, 24)
        """
        where = self._crops(len(images), size, source)
        views = F.grid_sample(images.float(), where, padding_mode="reflection", align_corners=False)
        return self._blurred(self._coloured(views, source), source).clamp_(0, 1)

    def _crops(self, count: int, size: int, source: torch.Generator) -> Tensor:
        """Sampling grids: crop with its aspect ratio, flip, rotation, all in one."""
        area, ratio = _uniform(count, *self.area, source), torch.exp(_uniform(count, -0.29, 0.29, source))
        wide, high = (area * ratio).sqrt().clamp(max=1), (area / ratio).sqrt().clamp(max=1)
        x, y = _uniform(count, -1, 1, source) * (1 - wide), _uniform(count, -1, 1, source) * (1 - high)
        mirror = torch.where(_uniform(count, 0, 1, source) < self.flip, -1.0, 1.0)
        angle = _uniform(count, -1, 1, source) * math.radians(self.turn)
        cos, sin = angle.cos(), angle.sin()
        across = torch.stack((wide * cos * mirror, high * sin * mirror), -1)[:, None, None]
        down = torch.stack((-wide * sin, high * cos), -1)[:, None, None]
        centre = torch.stack((x, y), -1)[:, None, None]
        at = (torch.arange(size, device=x.device) * 2 + 1) / size - 1  # the middles of pixels, in [-1, 1]
        return across * at[:, None] + (down * at[:, None, None] + centre)

    def _coloured(self, views: Tensor, source: torch.Generator) -> Tensor:
        """Brightness, contrast, saturation, hue and grey as one 3 × 3 matrix and one offset per image, to [0, 1]."""
        count, device = len(views), views.device
        on = (_uniform(count, 0, 1, source) < self.jitter).float()
        bright = 1 + on * self.brightness * _uniform(count, -1, 1, source)
        contrast = 1 + on * self.contrast * _uniform(count, -1, 1, source)
        saturation = 1 + on * self.saturation * _uniform(count, -1, 1, source)
        saturation = saturation * (_uniform(count, 0, 1, source) >= self.grey).float()
        angle = on * self.hue * 2 * math.pi * _uniform(count, -1, 1, source)
        to_yiq = _YIQ.to(device)
        turn = torch.zeros(count, 3, 3, device=device)
        turn[:, 0, 0] = 1
        turn[:, 1, 1] = turn[:, 2, 2] = saturation * angle.cos()
        turn[:, 1, 2], turn[:, 2, 1] = -saturation * angle.sin(), saturation * angle.sin()
        bright = bright / 255
        matrix = torch.linalg.inv(to_yiq) @ turn @ to_yiq * (bright * contrast)[:, None, None]
        mean = views.mean((2, 3)) @ to_yiq[0] * bright
        offset = (mean * (1 - contrast))[:, None, None]
        return torch.baddbmm(offset, matrix, views.flatten(2)).view_as(views)

    def _blurred(self, views: Tensor, source: torch.Generator) -> Tensor:
        """Separable Gaussian, each image with its own width; others get the identity kernel."""
        count, size = len(views), views.shape[-1]
        on = _uniform(count, 0, 1, source) < self.blur
        blurred = _uniform(count, 0.1, 2.0 * size / 96, source)
        sigma = torch.where(on, blurred, torch.full_like(on, 1e-3, dtype=views.dtype))
        chosen = on.nonzero()[:, 0]
        if not len(chosen):
            return views
        taps = torch.arange(-3, 4, device=views.device)
        kernel = torch.exp(-0.5 * (taps / sigma[chosen, None]).square())
        kernel = (kernel / kernel.sum(1, keepdim=True)).repeat_interleave(3, 0)
        flat = views[chosen].flatten(0, 1)[None]
        flat = F.conv2d(
            F.pad(flat, (3, 3, 0, 0), mode="reflect"), kernel[:, None, None, :], groups=len(kernel)
        )
        flat = F.conv2d(
            F.pad(flat, (0, 0, 3, 3), mode="reflect"), kernel[:, None, :, None], groups=len(kernel)
        )
        return views.index_copy_(0, chosen, flat[0].unflatten(0, (-1, 3)))


def _uniform(count: int, low: float, high: float, source: torch.Generator) -> Tensor:
    return torch.rand(count, generator=source, device=source.device) * (high - low) + low
