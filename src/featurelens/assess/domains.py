"""Other domains made from photos, in pixels [0, 1], seeded per image: a sketch, a cartoon, dusk, a cast, a soft lens.

A perturbation asks how far one harmed image moves; a domain changes every image alike, so that what was learnt on
photos meets another kind of picture.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
from PIL import Image, ImageFilter

from featurelens.assess.perturbations import Change, Pixels, Random, as_image, as_pixels, blur, changed
from featurelens.catalog import unknown
from featurelens.errors import ImageError
from featurelens.features.sources import sources
from featurelens.images.decode import decode
from featurelens.shapes import UInt8

_GREY = np.array([0.299, 0.587, 0.114], np.float32)


def sketch(pixels: Pixels, level: float, random: Random) -> Pixels:
    """Dark lines on white paper: the grey image divided by its blurred self; `level` is the pencil's width."""
    grey = (pixels @ _GREY)[..., None].repeat(3, 2)
    around = blur(grey, level * float(random.uniform(0.8, 1.25)), random)
    return np.clip(grey / np.maximum(around, 1e-3), 0, 1) ** np.float32(4.0)


def cartoon(pixels: Pixels, level: float, random: Random) -> Pixels:
    """Flat areas in few tones: medians over 5 pixels, `level` times over, then some 5 steps for each colour."""
    image = as_image(pixels)
    for _ in range(round(level)):
        image = image.filter(ImageFilter.MedianFilter(5))
    steps = float(random.uniform(4.0, 6.0))
    return np.round(as_pixels(image) * steps) / np.float32(steps)


def low_light(pixels: Pixels, level: float, random: Random) -> Pixels:
    """Dusk: the light divided by about `level`, and the noise of a sensor that counts few photons."""
    light = pixels ** np.float32(1.5) / np.float32(level * random.uniform(0.8, 1.25))
    photons = np.float32(400.0)
    grain = random.poisson(light * photons).astype(np.float32) / photons
    return grain + random.normal(0, 0.01, pixels.shape).astype(np.float32)


def colour_cast(pixels: Pixels, level: float, random: Random) -> Pixels:
    """Wrong white balance: one channel is raised and one lowered by about the share `level`, differently each time."""
    gains = np.ones(3, np.float32)
    first, second = random.permutation(3)[:2]
    gains[first], gains[second] = 1 + level * random.uniform(0.7, 1.0), 1 - level * random.uniform(0.7, 1.0)
    return pixels * gains


def soft(pixels: Pixels, level: float, random: Random) -> Pixels:
    """A lens out of focus; `level` is the blur's standard deviation in pixels, for a side of 224."""
    side = min(pixels.shape[:2])
    return blur(pixels, level * side / 224 * float(random.uniform(0.8, 1.25)), random)


DOMAINS: Mapping[str, tuple[Change, float]] = MappingProxyType(
    {
        "sketch": (sketch, 4.0),
        "cartoon": (cartoon, 3.0),
        "low-light": (low_light, 6.0),
        "colour-cast": (colour_cast, 0.6),
        "blur": (soft, 3.0),
    }
)
"""Each domain with its level."""


def to_domain(
    pixels: UInt8[np.ndarray, "row col 3"], kind: str, *, name: str, seed: int = 0
) -> UInt8[np.ndarray, "row col 3"]:
    """A photo as a picture of the domain `kind`; what chance does depends on its name and the seed.

    Raises UnknownName for a kind that DOMAINS does not list.

    >>> photo = np.full((32, 32, 3), 200, np.uint8)
    >>> int(to_domain(photo, "sketch", name="a").min()), int(to_domain(photo, "low-light", name="a").mean()) < 60
    (255, True)
    """
    if kind not in DOMAINS:
        raise unknown("domain", kind, DOMAINS)
    change, level = DOMAINS[kind]
    return changed(pixels, change, level, name=name, seed=seed)


def write_domain(
    images: str | Path,
    out: str | Path,
    kind: str,
    *,
    side: int = 256,
    seed: int = 0,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> int:
    """A copy of a folder of photos in another domain, with the same names (and `.png`), shrunk to `side` pixels.

    `a.jpg` becomes `a.png`, or `a.jpg.png` where another image would take that name.
    Returns how many were written; what cannot be read is left out. Images that lie there already are kept.
    """
    out = Path(out)
    listed, written = sources(images, None, stamped=False), 0
    short = {one.id: Path(one.id).with_suffix(".png") for one in listed}
    wanted = Counter([*short.values(), *(Path(f"{one.id}.png") for one in listed)])
    for done, one in enumerate(listed, 1):
        file = out / (short[one.id] if wanted[short[one.id]] == 1 else f"{one.id}.png")
        try:
            pixels = decode(one.image).pixels
        except (ImageError, OSError):
            continue
        if not file.exists():
            image = Image.fromarray(pixels)
            image.thumbnail((side, side), Image.Resampling.BICUBIC)
            made = to_domain(np.asarray(image), kind, name=one.id, seed=seed)
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(made).save(part := file.with_suffix(".part"), "PNG")
            os.replace(part, file)
        written += 1
        on_progress(done, len(listed))
    return written
