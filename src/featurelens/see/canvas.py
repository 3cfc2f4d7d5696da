"""What a picture is drawn with: pixels, frequencies, or the phases of frequencies alone."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from featurelens.catalog import Catalog
from featurelens.see.spectrum import Spectrum
from featurelens.shapes import Float

CANVASES = Catalog(
    "canvas",
    {
        "fourier": "featurelens.see.canvas:fourier",
        "maco": "featurelens.see.canvas:maco",
        "pixel": "featurelens.see.canvas:pixel",
    },
)


@dataclass(frozen=True)
class Canvas:
    """`start(stream, contrast)` gives the first parameters of one picture, `draw` makes RGB in [0, 1] of a batch
    of them; `rate` is how far a step moves them.
    """

    name: str
    start: Callable[[torch.Generator, float], Tensor]
    draw: Callable[[Tensor], Float[Tensor, "batch 3 row col"]]
    rate: float


def pixel(spectrum: Spectrum) -> Canvas:
    """Each pixel for itself, in independent colours; shows what a network answers to, noise and all."""

    def start(stream: torch.Generator, contrast: float) -> Tensor:
        return 0.05 * contrast * torch.randn(3, *spectrum.size, generator=stream)

    return Canvas("pixel", start, spectrum.to_rgb, rate=0.03)


def fourier(spectrum: Spectrum) -> Canvas:
    """Frequencies, each as strong as in photos, in independent colours (Olah et al. 2017, Mordvintsev 2018).

    A step of equal size in every parameter then changes the picture as photos differ, not as noise does.
    """
    rows, cols = spectrum.size

    def start(stream: torch.Generator, contrast: float) -> Tensor:
        shape = (3, rows, cols // 2 + 1, 2)
        return 0.1 * contrast * torch.randn(shape, generator=stream) / math.sqrt(2)

    def draw(parameters: Tensor) -> Tensor:
        scaled = torch.view_as_complex(parameters) * spectrum.magnitude.to(parameters)
        return spectrum.to_rgb(torch.fft.irfft2(scaled, s=spectrum.size, norm="ortho"))

    return Canvas("fourier", start, draw, rate=0.05)


def maco(spectrum: Spectrum) -> Canvas:
    """Phases only: the strength of each frequency stays that of photos (Fel et al., "MACO", NeurIPS 2023).

    Phases are kept odd (that of -f is minus that of f), as a real picture has them; else the first and last
    column of rfft2 would lose part of their strength.
    """

    def start(stream: torch.Generator, contrast: float) -> Tensor:
        shape = (3, spectrum.size[0], spectrum.size[1] // 2 + 1)
        return (2 * torch.rand(shape, generator=stream) - 1) * math.pi

    def draw(parameters: Tensor) -> Tensor:
        whole = torch.polar(
            spectrum.magnitude.to(parameters).expand_as(parameters), _odd(parameters, spectrum)
        )
        return spectrum.to_rgb(torch.fft.irfft2(whole, s=spectrum.size, norm="ortho"))

    return Canvas("maco", start, draw, rate=0.3)


def _odd(phases: Tensor, spectrum: Spectrum) -> Tensor:
    mirrored = phases.flip(-2).roll(1, -2)  # row k holds the phases of frequency -k
    half = (phases - mirrored) / math.sqrt(2)
    own_mirror = torch.zeros(phases.shape[-1], dtype=torch.bool, device=phases.device)
    own_mirror[0] = True
    if spectrum.size[1] % 2 == 0:
        own_mirror[-1] = True
    return torch.where(own_mirror, half, phases)
