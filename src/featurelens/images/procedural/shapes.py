"""Outlines as implicit functions: negative inside, about -1 at the centre, 0 on the outline."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from featurelens.images.procedural.textures import uniform

HARMONICS = 7


@dataclass(frozen=True)
class Shape:
    """Parameters of a batch of outlines: polar harmonics, a polygon share, pairs of limbs, a hole."""

    cosine: Tensor  # [shape, harmonic]
    sine: Tensor  # [shape, harmonic]; zero for outlines that mirror themselves
    corners: Tensor  # [shape, 1] of the polygon that is mixed in
    square: Tensor  # [shape, 1] share of the polygon
    aspect: Tensor  # [shape, 1]
    limbs: Tensor  # [shape, limb, (from x, from y, to x, to y, thick start, thick end)]
    hole: Tensor  # [shape, 1] radius, 0: none

    def rows(self, index: Tensor) -> Shape:
        """The chosen outlines, repeated as often as their index."""
        return Shape(*(getattr(self, name)[index] for name in self.__dataclass_fields__))

    def jitter(self, amount: float, source: torch.Generator) -> Shape:
        """Outlines of the same kind with slightly other numbers: the variety inside a class."""

        def near(x: Tensor, scale: float) -> Tensor:
            noise = torch.randn(x.shape, generator=source, device=source.device)
            return x + noise * (amount * scale) * (x != 0)

        return Shape(
            near(self.cosine, 0.12), near(self.sine, 0.12), self.corners, near(self.square, 0.2).clamp(0, 1),
            self.aspect * torch.exp(near(torch.ones_like(self.aspect), 0.4) - 1),
            near(self.limbs, 0.2), near(self.hole, 0.15),
        )  # fmt: skip


def draw_shapes(count: int, source: torch.Generator, *, limbs: bool = True) -> Shape:
    """Random outlines: free blobs, mirror-symmetric bodies with limbs, n-fold flowers, polygons."""
    device = source.device
    order = torch.arange(1, HARMONICS + 1, device=device)
    kind = torch.randint(0, 4, (count, 1), generator=source, device=device)
    fold = torch.randint(2, 8, (count, 1), generator=source, device=device)
    decay = uniform((count, HARMONICS), -1, 1, source) * uniform((count, 1), 0.1, 0.5, source) / order**0.7
    folded = torch.where(order == fold, uniform((count, 1), 0.1, 0.45, source), torch.zeros(1, device=device))
    cosine = torch.where(kind == 2, folded, decay)
    sine = torch.where(
        kind == 0, uniform((count, HARMONICS), -0.4, 0.4, source) / order, torch.zeros(1, device=device)
    )
    ends = uniform((count, 3, 4), -1, 1, source) * torch.tensor([0.4, 0.9, 1.5, 1.5], device=device)
    thick = uniform((count, 3, 2), 0.08, 0.4, source)
    thick = thick * (torch.rand(count, 3, 1, generator=source, device=device) < 0.6) * (kind[..., None] == 1)
    return Shape(
        cosine=cosine,
        sine=sine,
        corners=torch.randint(3, 8, (count, 1), generator=source, device=device).float(),
        square=uniform((count, 1), -1.0, 1.0, source).clamp(0, 1) * (kind != 2),
        aspect=torch.exp(uniform((count, 1), -0.7, 0.7, source)) ** (kind != 2).float(),
        limbs=torch.cat((ends, thick * float(limbs)), -1),
        hole=uniform((count, 1), -0.6, 0.5, source).clamp(min=0) * (kind == 2),
    )


def inside(shape: Shape, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """The implicit function and the polar angle at `x`, `y` `[shape, row, col]` in units of the shape."""

    def cast(value: Tensor) -> Tensor:
        return value[..., None]

    x_body, y_body = x * cast(shape.aspect), y / cast(shape.aspect)
    radius, angle = (x_body.square() + y_body.square() + 1e-9).sqrt(), torch.atan2(x_body, y_body)
    outline = torch.ones_like(radius)
    step = torch.polar(torch.ones_like(angle), angle)
    turn = step
    for n in range(HARMONICS):
        outline = (
            outline
            + cast(shape.cosine[:, n : n + 1]) * turn.real
            + cast(shape.sine[:, n : n + 1]) * turn.imag
        )
        turn = turn * step
    sector = 2 * math.pi / cast(shape.corners)
    polygon = torch.cos(sector / 2) / torch.cos(torch.remainder(angle, sector) - sector / 2)
    outline = (1 - cast(shape.square)) * outline + cast(shape.square) * polygon
    value = radius / outline.clamp(min=0.15) - 1
    mirrored = x.abs()
    for n in range(shape.limbs.shape[1]):
        ax, ay, bx, by, start, end = (part[:, None, None] for part in shape.limbs[:, n].unbind(-1))
        if not bool((start > 0).any()):
            continue
        dx, dy, ax = bx.abs() - ax.abs(), by - ay, ax.abs()
        t = (((mirrored - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy + 1e-6)).clamp(0, 1)
        gap = ((mirrored - ax - t * dx).square() + (y - ay - t * dy).square() + 1e-9).sqrt()
        width = start + t * (end - start)
        limb = torch.where(start > 0, gap / width.clamp(min=0.05) - 1, torch.full_like(gap, 9.0))
        value = torch.minimum(value, limb)
    return torch.maximum(value, torch.where(cast(shape.hole) > 0, cast(shape.hole) - radius, -9.0)), angle
