"""Small harms to an image, in pixels [0, 1], seeded per image: the families of ImageNet-C and their kin."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from types import MappingProxyType

import numpy as np
from PIL import Image

from featurelens.catalog import unknown
from featurelens.shapes import Float32, UInt8

Pixels = Float32[np.ndarray, "row col 3"]
Random = np.random.Generator
Change = Callable[[Pixels, float, Random], Pixels]


def noise(pixels: Pixels, level: float, random: Random) -> Pixels:
    """Gaussian noise; `level` is its standard deviation."""
    return pixels + random.normal(0, level, pixels.shape).astype(np.float32)


def blur(pixels: Pixels, level: float, random: Random) -> Pixels:
    """Gaussian blur; `level` is its standard deviation in pixels."""
    reach = max(1, round(3 * level))
    kernel = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * level**2))
    kernel = (kernel / kernel.sum()).astype(np.float32)
    for axis in (0, 1):
        around = [(reach, reach) if a == axis else (0, 0) for a in range(3)]
        padded = np.pad(pixels, around, mode="edge")
        length = pixels.shape[axis]
        shifted = (w * np.take(padded, range(i, i + length), axis=axis) for i, w in enumerate(kernel))
        pixels = sum(shifted, np.zeros_like(pixels))
    return pixels


def jpeg(pixels: Pixels, level: float, random: Random) -> Pixels:
    """JPEG artefacts; `level` is 100 minus the quality."""
    file = BytesIO()
    as_image(pixels).save(file, "JPEG", quality=round(100 - level))
    return as_pixels(Image.open(file).convert("RGB"))


def brightness(pixels: Pixels, level: float, random: Random) -> Pixels:
    """Lighter or darker by `level`."""
    return pixels + np.float32(random.choice((-level, level)))


def contrast(pixels: Pixels, level: float, random: Random) -> Pixels:
    """Contrast lowered by the share `level` around the image's mean."""
    mean = pixels.mean(axis=(0, 1), keepdims=True)
    return mean + (pixels - mean) * np.float32(1 - level)


def crop(pixels: Pixels, level: float, random: Random) -> Pixels:
    """A random window without the share `level` of each side, enlarged to the old size."""
    rows, cols = pixels.shape[:2]
    top, left = random.uniform(0, level * rows), random.uniform(0, level * cols)
    window = (left, top, left + (1 - level) * cols, top + (1 - level) * rows)
    return as_pixels(as_image(pixels).resize((cols, rows), Image.Resampling.BICUBIC, box=window))


def rotation(pixels: Pixels, level: float, random: Random) -> Pixels:
    """Turned by `level` degrees to either side; the corners show the mirrored image."""
    rows, cols = pixels.shape[:2]
    wide = np.pad(pixels, ((rows // 2, rows // 2), (cols // 2, cols // 2), (0, 0)), mode="reflect")
    turned = as_image(wide).rotate(float(random.choice((-level, level))), Image.Resampling.BICUBIC)
    return as_pixels(turned)[rows // 2 : rows // 2 + rows, cols // 2 : cols // 2 + cols]


def scale(pixels: Pixels, level: float, random: Random) -> Pixels:
    """Shrunk by the share `level` and enlarged again: detail is lost."""
    rows, cols = pixels.shape[:2]
    small = (max(1, round(cols * (1 - level))), max(1, round(rows * (1 - level))))
    image = as_image(pixels).resize(small, Image.Resampling.BILINEAR)
    return as_pixels(image.resize((cols, rows), Image.Resampling.BICUBIC))


def occlusion(pixels: Pixels, level: float, random: Random) -> Pixels:
    """A grey square over the share `level` of the area, at a random place."""
    rows, cols = pixels.shape[:2]
    height, width = round(rows * level**0.5), round(cols * level**0.5)
    top, left = random.integers(rows - height + 1), random.integers(cols - width + 1)
    covered = pixels.copy()
    covered[top : top + height, left : left + width] = 0.5
    return covered


PERTURBATIONS: Mapping[str, tuple[Change, tuple[float, ...]]]
PERTURBATIONS = MappingProxyType(
    {
        "noise": (noise, (0.01, 0.05, 0.1)),
        "blur": (blur, (1.0, 2.0, 4.0)),
        "jpeg": (jpeg, (50.0, 80.0, 92.0)),
        "brightness": (brightness, (0.1, 0.2, 0.3)),
        "contrast": (contrast, (0.25, 0.5, 0.75)),
        "crop": (crop, (0.1, 0.25, 0.5)),
        "rotation": (rotation, (5.0, 15.0, 30.0)),
        "scale": (scale, (0.5, 0.75, 0.875)),
        "occlusion": (occlusion, (0.1, 0.25, 0.4)),
    }
)
"""Each family with its mild, middle and strong level."""


def perturb(
    pixels: UInt8[np.ndarray, "batch row col 3"],
    kind: str,
    level: float,
    *,
    ids: Sequence[str],
    seed: int = 0,
) -> UInt8[np.ndarray, "batch row col 3"]:
    """Harm each image in its own way: the result depends on its id and the seed, not on its batch.

    Raises UnknownName for a kind that PERTURBATIONS does not list.

    >>> grey = np.full((1, 8, 8, 3), 100, np.uint8)
    >>> int(perturb(grey, "occlusion", 1.0, ids=["a"])[0, 0, 0, 0])
    128
    """
    if kind not in PERTURBATIONS:
        raise unknown("perturbation", kind, PERTURBATIONS)
    change = PERTURBATIONS[kind][0]
    harmed = np.empty_like(pixels)
    for place, name in enumerate(ids):
        harmed[place] = changed(pixels[place], change, level, name=name, seed=seed)
    return harmed


def changed(
    pixels: UInt8[np.ndarray, "row col 3"], change: Change, level: float, *, name: str, seed: int = 0
) -> UInt8[np.ndarray, "row col 3"]:
    """One image after `change`, with chance that only its name and the seed decide."""
    random = np.random.default_rng([seed, zlib.crc32(name.encode("utf-8", "surrogateescape"))])
    result = change(pixels.astype(np.float32) / 255, level, random)
    return np.round(np.clip(result, 0, 1) * 255).astype(np.uint8)


def as_image(pixels: Pixels) -> Image.Image:
    return Image.fromarray(np.round(np.clip(pixels, 0, 1) * 255).astype(np.uint8))


def as_pixels(image: Image.Image) -> Pixels:
    return np.asarray(image, dtype=np.float32) / 255
