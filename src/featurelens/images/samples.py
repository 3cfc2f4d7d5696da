"""The demo photos: pictures that come with scikit-image and scikit-learn, cut into crops under changed light."""

from __future__ import annotations

import importlib.util
import io
import math
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from featurelens.errors import InvalidInput, MissingExtra

_PHOTOS = {
    ("skimage", "scikit-image"): (
        "data/astronaut.png",
        "data/brick.png",
        "data/camera.png",
        "data/chelsea.png",
        "data/coffee.png",
        "data/coins.png",
        "data/grass.png",
        "data/gravel.png",
        "data/hubble_deep_field.jpg",
        "data/ihc.png",
        "data/moon.png",
        "data/motorcycle_left.png",
        "data/retina.jpg",
        "data/rocket.jpg",
    ),
    ("sklearn", "scikit-learn"): ("datasets/images/china.jpg", "datasets/images/flower.jpg"),
}
_LONG_SIDE = 480


@dataclass(frozen=True)
class Sample:
    """One crop: its file, and the name of the photo it was cut from (also the name of its folder)."""

    path: Path
    photo: str


def make_samples(folder: Path, *, crops: int = 12, seed: int = 0) -> list[Sample]:
    """Write `crops` overlapping crops of each of 16 photos as `folder/photo/photo-00.jpg` ...

    The right answer of a search is known: another crop of the same photo. Same seed, same files; what is
    already there is kept, so an interrupted call can be repeated. Raises MissingExtra without the photos.
    """
    if crops < 2:
        raise InvalidInput(f"crops is {crops}; a search needs at least 2 crops of each photo.")
    made = []
    for path in _photos():
        photo = path.stem.removesuffix("_left").replace("_", "-")
        missing = []
        for i in range(crops):
            made.append(Sample(folder / photo / f"{photo}-{i:02d}.jpg", photo))
            if not made[-1].path.exists():
                missing.append((i, made[-1].path))
        if missing:
            original = Image.open(path).convert("RGB")
            (folder / photo).mkdir(parents=True, exist_ok=True)
            for i, target in missing:
                random = np.random.default_rng([seed, i, *photo.encode()])
                _write(_relit(_crop(original, random), random), target)
    return made


def _photos() -> list[Path]:
    found = []
    for (module, package), names in _PHOTOS.items():
        spec = importlib.util.find_spec(module)
        if spec is None or not spec.submodule_search_locations:
            raise MissingExtra(package, "demo", "The demo gallery")
        home = Path(next(iter(spec.submodule_search_locations)))
        found += [home / name for name in names if (home / name).is_file()]
    return found


def _crop(photo: Image.Image, random: np.random.Generator) -> Image.Image:
    """A slightly turned rectangle of 55 to 75 % of each side, anywhere inside the photo."""
    angle = math.radians(random.uniform(-8, 8))
    width, height = (random.uniform(0.55, 0.75) * side for side in photo.size)
    cos, sin = math.cos(angle), math.sin(angle)
    reach_x = (width * abs(cos) + height * abs(sin)) / 2
    reach_y = (width * abs(sin) + height * abs(cos)) / 2
    x = random.uniform(reach_x, photo.width - reach_x)
    y = random.uniform(reach_y, photo.height - reach_y)
    scale = _LONG_SIDE / max(width, height)
    size = (round(width * scale), round(height * scale))
    a, b = cos / scale, -sin / scale
    d, e = sin / scale, cos / scale
    matrix = (a, b, x - a * size[0] / 2 - b * size[1] / 2, d, e, y - d * size[0] / 2 - e * size[1] / 2)
    if scale < 1:  # a large photo: blur by reduction first, so that the transform does not alias
        factor = max(1, round(1 / scale))
        photo = photo.reduce(factor)
        matrix = tuple(value / factor for value in matrix)
    return photo.transform(size, Image.Transform.AFFINE, matrix, Image.Resampling.BICUBIC)


def _relit(crop: Image.Image, random: np.random.Generator) -> Image.Image:
    """Another exposure, contrast and colour temperature."""
    pixels = np.asarray(crop, np.float32) / 255
    warm = random.uniform(-0.12, 0.12)
    gain = random.uniform(0.75, 1.25) * np.array([1 + warm, 1.0, 1 - warm], np.float32)
    middle = pixels.mean()
    pixels = (pixels - middle) * random.uniform(0.8, 1.2) + middle
    pixels = np.clip(pixels * gain, 0, 1) ** random.uniform(0.85, 1.2)
    return Image.fromarray((pixels * 255 + 0.5).astype(np.uint8))


def _write(image: Image.Image, target: Path) -> None:
    data = io.BytesIO()
    image.save(data, "JPEG", quality=90)
    part = target.with_suffix(".jpg.tmp")
    part.write_bytes(data.getvalue())
    os.replace(part, target)
