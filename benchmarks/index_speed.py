"""Index rate of a folder of JPEGs against the naive loop and a torch DataLoader, two threads each.

python benchmarks/index_speed.py small|large|vit|pipeline   (no argument: all four, one after the other)
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

THREADS = 2
for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, str(THREADS))

import numpy as np  # noqa: E402
from _harness import alternate, report, table  # noqa: E402
from PIL import Image  # noqa: E402

CLAIMS = {
    # name: (network, (width, height), images, rounds, target over naive, target over the DataLoader)
    "small": ("mobilenetv3_large_100", (500, 375), 384, 5, 6.0, 5.0),
    "large": ("mobilenetv3_large_100", (4032, 3024), 48, 3, None, 4.5),
    "vit": ("vit_small_patch16_224", (500, 375), 128, 5, 1.7, 1.5),
}


def draw_photos(folder: Path, size: tuple[int, int], count: int) -> list[Path]:
    """JPEGs with the detail of photos: skimage's own, resized, shifted and with fine noise."""
    from skimage import data

    sources = [Image.fromarray(a).convert("RGB") for a in (data.astronaut(), data.coffee(), data.chelsea())]
    random = np.random.default_rng(0)
    paths = []
    for i in range(count):
        photo = sources[i % len(sources)].resize(size, Image.Resampling.BICUBIC)
        pixels = np.roll(np.asarray(photo, np.int16), random.integers(0, size[0], 2), (0, 1))
        pixels = pixels + random.normal(0, 6, (*pixels.shape[:2], 1)).astype(np.int16)
        paths.append(folder / f"{i:05d}.jpg")
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(paths[-1], quality=88)
    return paths


def ours(backbone, folder: Path) -> float:
    """A whole `featurelens index`: walk, hash, decode, embed and durable commits; images a second."""
    from featurelens.search import Gallery

    with tempfile.TemporaryDirectory() as at:
        started = time.perf_counter()
        with Gallery.create(folder, backbone=backbone, at=Path(at) / "gallery") as gallery:
            gallery.update()
            count = len(gallery)
        return count / (time.perf_counter() - started)


def peers(network: str):
    """The two usual loops: one image at a time, and a DataLoader of two workers with batches of 32."""
    import timm
    import torch

    torch.set_num_threads(THREADS)
    model = timm.create_model(network, pretrained=False, num_classes=0).eval()
    transform = timm.data.create_transform(**timm.data.resolve_model_data_config(model))

    def read(path: Path) -> torch.Tensor:
        return transform(Image.open(path).convert("RGB"))

    class Photos(torch.utils.data.Dataset):
        def __init__(self, paths: list[Path]) -> None:
            self.paths = paths

        def __len__(self) -> int:
            return len(self.paths)

        def __getitem__(self, i: int) -> torch.Tensor:
            return read(self.paths[i])

    def naive(paths: list[Path]) -> float:
        started = time.perf_counter()
        with torch.inference_mode():
            for path in paths:
                model(read(path)[None])
        return len(paths) / (time.perf_counter() - started)

    def loader(paths: list[Path]) -> float:
        started = time.perf_counter()
        with torch.inference_mode():
            for batch in torch.utils.data.DataLoader(Photos(paths), batch_size=32, num_workers=2):
                model(batch)
        return len(paths) / (time.perf_counter() - started)

    return naive, loader


def ceiling(network: str) -> dict[str, float]:
    """Images a second if decoding were free and the network ran at the rate of large matrix products.

    Nothing that computes in float32 can go much beyond it on this machine.
    """
    import timm
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counted, torch.inference_mode():
        timm.create_model(network, num_classes=0).eval()(torch.zeros(1, 3, 224, 224))
    square = torch.rand(2048, 2048)
    times = []
    for _ in range(12):
        started = time.perf_counter()
        square @ square
        times.append(time.perf_counter() - started)
    peak = 2 * 2048**3 / float(np.median(times))
    return {"gflop_per_second": peak / 1e9, "images_per_second": peak / counted.get_total_flops()}


def index_claim(claim: str) -> None:
    """Print the rates side by side, and whether the targets are met."""
    from featurelens import load_backbone

    network, size, count, rounds, over_naive, over_loader = CLAIMS[claim]
    backbone = load_backbone(network, pretrained=False, threads=THREADS)
    naive, loader = peers(network)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = draw_photos(folder, size, count)
        runs = {"featurelens index": lambda: ours(backbone, folder), "DataLoader(2)": lambda: loader(paths)}
        if over_naive:
            runs["naive loop"] = lambda: naive(paths)
        rates = alternate(runs, rounds)
    mine = rates["featurelens index"]
    print(table(["contender", "images/s", "ours is"], [[n, r, f"{mine / r:.2f}x"] for n, r in rates.items()]))
    ratios = {n: mine / r for n, r in rates.items() if n != "featurelens index"}
    targets = {"naive loop": over_naive, "DataLoader(2)": over_loader}
    met = all(ratios[n] >= targets[n] for n in ratios)
    limit = ceiling(network)
    print(
        f"with free decoding, at this machine's {limit['gflop_per_second']:.0f} GFLOP/s of float32 matrix products: "
        f"{limit['images_per_second']:.0f} images/s"
    )
    report(
        f"index {network}, {count} JPEGs of {size[0]}x{size[1]}",
        {n: round(r, 2) for n, r in ratios.items()},
        {n: f">= {targets[n]}" for n in ratios},
        met,
        {"images_per_second": rates, "float32_ceiling": limit},
    )


def pipeline_claim() -> None:
    """The full index rate over the rate of the engine alone, fed with pixels from memory."""
    from concurrent.futures import ThreadPoolExecutor

    from featurelens import load_backbone

    network, size, count, rounds, *_ = CLAIMS["vit"]
    backbone = load_backbone(network, pretrained=False, threads=THREADS)
    fit = backbone.spec.fit
    pixels = np.random.default_rng(0).integers(0, 256, (32, fit.rows, fit.cols, 3), np.uint8)

    def inference_only() -> float:
        started = time.perf_counter()
        with ThreadPoolExecutor(backbone.streams) as pool:
            list(pool.map(backbone.embed, [pixels] * (count // 32)))
        return count / (time.perf_counter() - started)

    with tempfile.TemporaryDirectory() as name:
        draw_photos(Path(name), size, count)
        rates = alternate(
            {"index": lambda: ours(backbone, Path(name)), "engine alone": inference_only}, rounds
        )
    share = rates["index"] / rates["engine alone"]
    print(table(["what", "images/s"], list(rates.items())))
    report(f"index rate over engine rate, {network}", round(share, 3), ">= 0.9", share >= 0.9, rates)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("claim", nargs="?", choices=[*CLAIMS, "pipeline"])
    claim = parser.parse_args().claim
    if claim is None:
        for each in (*CLAIMS, "pipeline"):
            subprocess.run([sys.executable, __file__, each], check=True)
    elif claim == "pipeline":
        pipeline_claim()
    else:
        index_claim(claim)


if __name__ == "__main__":
    main()
