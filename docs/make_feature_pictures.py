"""Make the pictures of docs/see-features.md from a folder of weights in timm's format.

python docs/make_feature_pictures.py WEIGHTS [--out docs/images]

WEIGHTS holds config.json and model.safetensors of MobileNetV2 (timm's mobilenetv2_100). The photos are
scikit-image's own. Takes some minutes on a CPU.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from featurelens import load_backbone, see
from featurelens.images.samples import make_samples
from featurelens.see.render import sheet
from featurelens.see.unit_tiles import Tiles


def maximized(net, steps: int) -> np.ndarray:
    """Units of an early, a middle and a late layer: edges and colours, textures, parts."""
    rows = []
    for layer, size, title in (
        ("blocks.0", 96, "blocks.0: oriented edges and colours"),
        ("blocks.2", 128, "blocks.2: textures and patterns"),
        ("blocks.4", 128, "blocks.4: parts of things"),
    ):
        made = see.maximize(net, f"{layer}:0-7", size=size, steps=steps)
        tiles = [resized(one.pixels, 120) for one in made]
        rows.append(sheet(tiles, captions=[one.name for one in made], columns=8, title=title, text=11, gap=6))
    return np.concatenate(rows)


def driven(net, folder: Path, steps: int) -> np.ndarray:
    """Units with their synthetic picture and the crops that drive them most."""
    make_samples(folder, crops=6)
    found = see.units(folder, net, "blocks.4", top=6)
    layer = found["blocks.4"]
    chosen = np.argsort(-layer.contrast, kind="stable")[:5]
    made = see.maximize(net, [f"blocks.4:{unit}" for unit in chosen], size=128, steps=steps)
    tiles = Tiles(found, layer, side=120)
    rows = [
        np.hstack([resized(one.pixels, 120), np.asarray(tiles.sheet(int(u)))])
        for u, one in zip(chosen, made, strict=True)
    ]
    return sheet(rows, captions=[one.name for one in made], columns=1, text=11, gap=6)


def resized(pixels: np.ndarray, side: int) -> np.ndarray:
    return np.asarray(Image.fromarray(pixels).resize((side, side), Image.Resampling.LANCZOS))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("weights", type=Path)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "images")
    parser.add_argument("--steps", type=int, default=128)
    args = parser.parse_args()

    import skimage

    cat = Path(skimage.__file__).parent / "data" / "chelsea.png"
    net = load_backbone(f"local-dir:{args.weights}", engine="torch")
    args.out.mkdir(parents=True, exist_ok=True)

    def write(name: str, pixels: np.ndarray) -> None:
        file = args.out / f"{name}.webp"
        Image.fromarray(pixels).save(file, quality=80, method=6)
        sys.stdout.write(f"{file}: {file.stat().st_size / 1000:.0f} kB\n")

    write("see-hierarchy", see.hierarchy(net, cat).page(side=112))
    write("see-maps", see.feature_maps(net, cat, "blocks.2").sheet(limit=32, columns=8, over=True, side=112))
    write("see-maximize", maximized(net, args.steps))
    with tempfile.TemporaryDirectory() as folder:
        write("see-units", driven(net, Path(folder), args.steps))


if __name__ == "__main__":
    main()
