"""Decoding JPEGs to 224 pixels on one core, against Pillow's open, convert, resize and crop."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from _harness import alternate, report, table
from index_speed import draw_photos
from PIL import Image

from featurelens.images import Fit, decode

CLAIMS = {
    # (width, height): (images, target over Pillow, target over Pillow with its own scaled decode)
    (500, 375): (192, 1.4, None),
    (4032, 3024): (12, 3.5, 1.0),
}
ROUNDS = 7


def pillow(path: Path, *, draft: bool) -> np.ndarray:
    """The usual loader, short side to 256, centre 224."""
    with Image.open(path) as image:
        if draft:
            image.draft("RGB", (256, 256))
        photo = image.convert("RGB")
    scale = 256 / min(photo.size)
    photo = photo.resize((round(photo.width * scale), round(photo.height * scale)), Image.Resampling.BICUBIC)
    left, top = (photo.width - 224) // 2, (photo.height - 224) // 2
    return np.asarray(photo.crop((left, top, left + 224, top + 224)))


def main() -> None:
    fit = Fit(224, 224, crop_pct=224 / 256)
    for size, (count, over_plain, over_draft) in CLAIMS.items():
        with tempfile.TemporaryDirectory() as name:
            paths = draw_photos(Path(name), size, count)

            def rate(read: Callable[[Path], object], paths: list[Path] = paths) -> float:
                started = time.perf_counter()
                for path in paths:
                    read(path)
                return len(paths) / (time.perf_counter() - started)

            contenders = {
                "featurelens": lambda: rate(lambda path: decode(path, fit=fit)),
                "featurelens, exact": lambda: rate(lambda path: decode(path, fit=fit, exact=True)),
                "Pillow": lambda: rate(lambda path: pillow(path, draft=False)),
                "Pillow, scaled decode": lambda: rate(lambda path: pillow(path, draft=True)),
            }
            rates = alternate(contenders, ROUNDS)
        mine = rates["featurelens"]
        print(
            table(
                ["contender", "images/s", "ours is"], [[n, r, f"{mine / r:.2f}x"] for n, r in rates.items()]
            )
        )
        ratios = {"Pillow": mine / rates["Pillow"], "scaled": mine / rates["Pillow, scaled decode"]}
        targets = {"Pillow": over_plain} | ({"scaled": over_draft} if over_draft else {})
        report(
            f"decode {size[0]}x{size[1]} JPEGs to 224, one core",
            {n: round(r, 2) for n, r in ratios.items()},
            {n: f">= {t}" for n, t in targets.items()},
            all(ratios[n] >= t for n, t in targets.items()),
            {"images_per_second": rates},
        )


if __name__ == "__main__":
    main()
