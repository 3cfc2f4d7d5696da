"""Texture tiles: 1/f noise, coordinate networks, gratings and cells, three fields in [0, 1] per tile."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F


def uniform(shape: tuple[int, ...], low: float, high: float, source: torch.Generator) -> Tensor:
    """Uniform numbers from the given generator, on its device."""
    return torch.rand(shape, generator=source, device=source.device) * (high - low) + low


def grid(size: int, device: torch.device) -> Tensor:
    """Pixel centres as `[row, col, (x, y)]` in [-1, 1]."""
    line = (torch.arange(size, device=device) + 0.5) / size * 2 - 1
    y, x = torch.meshgrid(line, line, indexing="ij")
    return torch.stack((x, y), -1)


def stretch(fields: Tensor) -> Tensor:
    """Each field to mean .5 and two standard deviations either way in [0, 1]."""
    centred = fields - fields.mean((-2, -1), keepdim=True)
    return (centred / (4 * centred.std((-2, -1), keepdim=True) + 1e-6) + 0.5).clamp(0, 1)


def spectra(count: int, size: int, source: torch.Generator) -> Tensor:
    """Noise with amplitude 1/f^a, a in [.6, 2.4], some of it stretched along one direction."""
    fy = torch.fft.fftfreq(size, device=source.device)[:, None] * size
    fx = torch.fft.rfftfreq(size, device=source.device)[None] * size
    angle = uniform((count, 1, 1), 0, math.pi, source)
    squeeze = torch.exp(uniform((count, 1, 1), -1.5, 0.5, source).clamp(max=0))
    along, across = fx * angle.cos() + fy * angle.sin(), fy * angle.cos() - fx * angle.sin()
    radius = ((along * squeeze).square() + across.square()).sqrt().clamp(min=1)
    amplitude = radius ** -uniform((count, 1, 1), 0.6, 2.4, source)
    phase = uniform((count, 3, *amplitude.shape[1:]), 0, 2 * math.pi, source)
    noise = torch.fft.irfft2(torch.polar(amplitude[:, None].expand_as(phase), phase), s=(size, size))
    fields = stretch(noise)
    ridged = 1 - (2 * fields - 1).abs()
    contours = 0.5 + 0.5 * torch.sin(fields * uniform((count, 1, 1, 1), 10, 40, source))
    kind = torch.randint(0, 5, (count, 1, 1, 1), generator=source, device=source.device)
    steep = ((fields - 0.5) * 8).sigmoid()
    return torch.where(
        kind < 2, fields, torch.where(kind == 2, ridged, torch.where(kind == 3, contours, steep))
    )


def networks(count: int, size: int, source: torch.Generator) -> Tensor:
    """Random coordinate networks: position → two layers of mixed non-linearities → three fields."""
    width, here = 16, grid(size, source.device).reshape(1, -1, 2)
    zoom = torch.exp(uniform((count, 1, 1), 0.0, 1.8, source))
    centre = uniform((count, 1, 2), -0.7, 0.7, source)
    at = (here - centre) * zoom
    x = torch.cat((at, at.norm(dim=-1, keepdim=True), torch.ones_like(at[..., :1])), -1)
    for inputs in (4, width, width):
        weight = torch.randn(count, inputs, width, generator=source, device=source.device)
        x = x @ (weight * (1.6 / math.sqrt(inputs)))
        a, b, c, d = x.split(width // 4, dim=-1)
        x = torch.cat((torch.sin(2 * a), torch.tanh(2 * b), torch.exp(-c * c), d.abs()), -1)
    weight = torch.randn(count, width, 3, generator=source, device=source.device)
    return stretch((x @ weight).mT.reshape(count, 3, size, size))


def gratings(count: int, size: int, source: torch.Generator) -> Tensor:
    """One wave per field (sine, square or triangle): stripes, and checks where fields are mixed later."""
    here = grid(size, source.device)
    first = uniform((count, 1), 0, math.pi, source)
    turn = torch.tensor([0.0, math.pi / 2, math.pi / 4], device=source.device)
    angle = first + turn + uniform((count, 3), -0.1, 0.1, source)
    frequency = torch.exp(uniform((count, 1), 1.6, 4.0, source)) * uniform((count, 3), 0.8, 1.25, source)
    wave_x, wave_y = (frequency * angle.cos())[..., None, None], (frequency * angle.sin())[..., None, None]
    phase = uniform((count, 3, 1, 1), 0, 2 * math.pi, source)
    wave = torch.sin(wave_x * here[..., 0] + wave_y * here[..., 1] + phase)
    hard = torch.exp(uniform((count, 1, 1, 1), 0, 3, source))
    return 0.5 + 0.5 * torch.tanh(wave * hard) / torch.tanh(hard)


def cells(count: int, size: int, source: torch.Generator) -> Tensor:
    """Voronoi cells, each with three random values, darker to its border in some tiles."""
    here, seeds = grid(size, source.device).reshape(1, -1, 2), 48
    points = uniform((count, seeds, 2), -1.1, 1.1, source)
    points[:, 16:] += (torch.rand(count, 1, 1, generator=source, device=source.device) < 0.4) * 9.0
    near = torch.cdist(here.expand(count, -1, -1), points).topk(2, dim=-1, largest=False)
    values = torch.rand(count, seeds, 3, generator=source, device=source.device)
    fields = values.gather(1, near.indices[..., :1].expand(-1, -1, 3))
    border = (near.values[..., 1] - near.values[..., 0]).clamp(max=0.15).mul(1 / 0.15)[..., None]
    strength = uniform((count, 1, 1), -0.6, 1.0, source).clamp(min=0)
    return (fields * (1 - strength + strength * border)).mT.reshape(count, 3, size, size)


def warp(tiles: Tensor, source: torch.Generator) -> Tensor:
    """Tiles bent by smooth random displacements; half of them stay straight."""
    count, size = len(tiles), tiles.shape[-1]
    coarse = torch.randn(count, 2, 5, 5, generator=source, device=source.device)
    amount = uniform((count, 1, 1, 1), -0.2, 0.2, source).clamp(min=0)
    bend = F.interpolate(coarse, size=(size, size), mode="bicubic", align_corners=True) * amount
    where = grid(size, source.device) + bend.permute(0, 2, 3, 1)
    return F.grid_sample(tiles, where, padding_mode="reflection", align_corners=False)


KINDS = {
    "spectra": (spectra, 35),
    "networks": (networks, 25),
    "gratings": (gratings, 20),
    "cells": (cells, 20),
}


def tiles(count: int, size: int, source: torch.Generator, shares: Mapping[str, int]) -> Tensor:
    """`count` shuffled tiles of the kinds by their shares, `[tile, 3, row, col]` in [0, 1]."""
    numbers = shared_out(count, [shares.get(name, share) for name, (_, share) in KINDS.items()])
    made = torch.cat(
        [kind(n, size, source) for (kind, _), n in zip(KINDS.values(), numbers, strict=True) if n]
    )
    order = torch.randperm(count, generator=source, device=source.device)
    return warp(made[order], source)


def shared_out(count: int, shares: Sequence[int]) -> list[int]:
    """`count` things in parts of these shares, rounded down; the last share that is not zero gets the rest.

    >>> shared_out(64, [35, 25, 20, 20])
    [22, 16, 12, 14]
    """
    parts = [count * share // sum(shares) for share in shares]
    last = max(n for n, share in enumerate(shares) if share)
    parts[last] += count - sum(parts)
    return parts
