"""The statistics of photos that pictures start from: how strong each frequency is, and how colours go together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from featurelens.errors import InvalidInput
from featurelens.images.decode import DEFAULT_MAX_PIXELS
from featurelens.images.fit import Fit
from featurelens.shapes import Float, Float32, UInt8

# The square root of ImageNet's colour covariance (lucid, "color.py"), in units of [0, 1]; a sigmoid's inverse
# is five times as steep over the usual range.
_IMAGENET = 5.0 * np.array([[0.26, 0.09, 0.02], [0.27, 0.00, -0.05], [0.27, -0.09, 0.03]])
_EDGE = 0.02  # how near to black and white a value is taken before its logit


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Of images as logits: `mean` colour, `colours` (3 x 3, from independent colours to RGB), and the
    `magnitude` of each frequency [3, row, col // 2 + 1] of the independent colours, in torch's rfft2 with
    norm "ortho"; its power makes each independent colour vary by 1.
    """

    magnitude: Float32[Tensor, "3 row half"]
    colours: Float32[Tensor, "3 3"]
    mean: Float32[Tensor, " 3"]
    size: tuple[int, int]
    source: str

    def to_rgb(self, plane: Float[Tensor, "batch 3 row col"]) -> Float[Tensor, "batch 3 row col"]:
        """Independent colours as RGB in [0, 1]."""
        rgb = torch.einsum("ij,bjrc->birc", self.colours.to(plane), plane)
        return (rgb + self.mean.to(plane).view(3, 1, 1)).sigmoid()

    def from_rgb(self, x01: Float[Tensor, "batch 3 row col"]) -> Float[Tensor, "batch 3 row col"]:
        """The inverse of `to_rgb`."""
        off = x01.logit(eps=1e-6) - self.mean.to(x01).view(3, 1, 1)
        return torch.einsum("ij,bjrc->birc", torch.linalg.inv(self.colours).to(x01), off)


def natural_spectrum(size: tuple[int, int]) -> Spectrum:
    """The fallback without images: magnitude 1 / frequency, and the colours of ImageNet.

    >>> natural_spectrum((32, 32)).magnitude.shape
    torch.Size([3, 32, 17])
    """
    one = 1.0 / np.maximum(frequencies(size), 1.0 / max(size))
    one[0, 0] = 0.0
    magnitude = np.stack([one] * 3)
    return _made(magnitude, _IMAGENET, np.zeros(3), size, "1/f, colours of ImageNet")


def spectrum_of(
    images: Any, size: tuple[int, int], *, limit: int = 500, max_pixels: int = DEFAULT_MAX_PIXELS
) -> Spectrum:
    """The spectrum of a folder or list of images at `size` (rows, columns); at most `limit` of them, spread evenly.

    Needs two images that can be read and have at most `max_pixels`; raises InvalidInput for fewer.
    """
    from featurelens.see.passing import batches_of

    found = batches_of(images, Fit(*size, crop_pct=1.0), lambda x: x, limit=limit, max_pixels=max_pixels)
    pixels = [batch for _, batch in found]
    if sum(map(len, pixels)) < 2:
        raise InvalidInput("A spectrum needs at least two images that can be read.")
    return spectrum_from(np.concatenate(pixels))


def spectrum_from(pixels: UInt8[np.ndarray, "image row col 3"]) -> Spectrum:
    """The spectrum of uint8 pixels [image, row, col, 3]."""
    x = np.clip(pixels.astype(np.float64) / 255, _EDGE, 1 - _EDGE)
    x = np.log(x / (1 - x))
    mean = x.mean((0, 1, 2))
    values, axes = np.linalg.eigh(np.cov((x - mean).reshape(-1, 3).T))
    order = np.argsort(values)[::-1]
    values, axes = np.maximum(values[order], 1e-4 * values.max() + 1e-8), axes[:, order]
    colours = axes * np.sqrt(values)
    independent = (x - mean) @ np.linalg.inv(colours).T
    independent -= independent.mean((1, 2), keepdims=True)
    size = (pixels.shape[1], pixels.shape[2])
    # A window takes the cross away that the borders of a photo, set side by side, would draw.
    window = np.outer(np.hanning(size[0] + 2)[1:-1], np.hanning(size[1] + 2)[1:-1])[..., None]
    power = np.abs(np.fft.rfft2(independent * window, axes=(1, 2), norm="ortho")) ** 2
    magnitude = np.sqrt(power.mean(0)).transpose(2, 0, 1)
    magnitude[:, 0, 0] = 0.0
    return _made(magnitude, colours, mean, size, f"{len(pixels)} images")


def frequencies(size: tuple[int, int]) -> np.ndarray:
    """The frequency of each coefficient of rfft2, in cycles per pixel."""
    return np.hypot(np.fft.fftfreq(size[0])[:, None], np.fft.rfftfreq(size[1])[None])


def _made(
    magnitude: np.ndarray, colours: np.ndarray, mean: np.ndarray, size: tuple[int, int], source: str
) -> Spectrum:
    # Each coefficient of rfft2 stands for two of the whole plane, but for the first and (even) last column.
    twice = np.full(magnitude.shape[-1], 2.0)
    twice[0] = 1.0
    if size[1] % 2 == 0:
        twice[-1] = 1.0
    variance = (magnitude**2 * twice).sum((1, 2), keepdims=True) / (size[0] * size[1])
    magnitude = magnitude / np.sqrt(np.maximum(variance, 1e-12))
    kept = [torch.from_numpy(np.ascontiguousarray(a, np.float32)) for a in (magnitude, colours, mean)]
    return Spectrum(kept[0], kept[1], kept[2], size, source)
