"""How good the embedded backbone and its branches retrieve, beside classic features; how fast beside a MobileNetV3."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from _harness import alternate, machine, report

from featurelens.adapt.embedded import PLAN
from featurelens.backbone import load_backbone
from featurelens.images.decode import decode
from featurelens.images.samples import make_samples

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
TARGETS = {"clothing10": (0.25, 0.56), "flowers5": (0.38, 0.62), "demo": (0.0, 0.97)}
NAMES = ("embedded", "classic:hog", "classic:colour")


def unit(x: np.ndarray) -> np.ndarray:
    return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)


def retrieval(vectors: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """mAP over the whole set (query left out) and accuracy of the nearest other image, by cosine."""
    similarity = unit(vectors) @ unit(vectors).T
    np.fill_diagonal(similarity, -np.inf)
    order = np.argsort(-similarity, axis=1)[:, :-1]
    right = labels[order] == labels[:, None]
    precision = right.cumsum(1) / np.arange(1, right.shape[1] + 1)
    return float(((precision * right).sum(1) / right.sum(1)).mean()), float(right[:, 0].mean())


def embed(name: str, files: Sequence[Path]) -> np.ndarray:
    backbone = load_backbone(name)
    rows = []
    for start in range(0, len(files), 32):
        chunk = [decode(file, fit=backbone.spec.fit).pixels for file in files[start : start + 32]]
        rows.append(backbone.embed(np.stack(chunk)))
    return unit(np.concatenate(rows))


def speed(rounds: int) -> dict[str, float]:
    """Images per second of the networks alone, two calling threads, at their own input sizes."""
    from concurrent.futures import ThreadPoolExecutor

    random = np.random.default_rng(0)

    def contender(name: str, pretrained: bool):
        backbone = load_backbone(name, pretrained=pretrained, threads=2)
        fit = backbone.spec.fit
        pixels = random.integers(0, 256, (16, fit.rows, fit.cols, 3), dtype=np.uint8)

        def run() -> None:
            with ThreadPoolExecutor(2) as pool:
                list(pool.map(lambda _: backbone.embed(pixels), range(16)))

        return run

    contenders = {
        "embedded": contender("embedded", True),
        "mobilenetv3": contender("mobilenetv3_large_100", False),
    }
    return {name: 256 / seconds for name, seconds in alternate(contenders, rounds).items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--no-speed", action="store_true")
    options = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        samples = make_samples(Path(folder))
        sets = {"demo": ([s.path for s in samples], [s.photo for s in samples])}
        for name in ("clothing10", "flowers5"):
            files = sorted(p for p in (SHARED / name).glob("*/*") if p.is_file())
            if files:
                sets[name] = (files, [p.parent.name for p in files])
        figures: dict[str, dict[str, tuple[float, float]]] = {}
        print(f"{'mAP / 1-NN':24s}" + "".join(f"{name:>16s}" for name in sets))
        vectors = {name: {key: embed(name, files) for key, (files, _) in sets.items()} for name in NAMES}
        hog, colour = vectors["classic:hog"], vectors["classic:colour"]
        learned = PLAN["deep"][0]  # numbers, the first ones
        parts = {"its learned branch": slice(learned), "its hand-made ones": slice(learned, None)}
        for part, columns in parts.items():
            vectors[part] = {key: rows[:, columns] for key, rows in vectors["embedded"].items()}
        vectors["hog + colour"] = {key: np.hstack([hog[key], colour[key]]) for key in sets}
        for name, by_set in vectors.items():
            figures[name] = {k: retrieval(v, np.array(sets[k][1])) for k, v in by_set.items()}
            print(f"{name:24s}" + "".join(f"{m:8.3f} / {n:.3f}" for m, n in figures[name].values()))
    ours = figures["embedded"]
    detail: dict[str, object] = {"figures": figures, "targets": TARGETS}
    met = all(figure >= target for k in ours for figure, target in zip(ours[k], TARGETS[k], strict=True))
    if not options.no_speed:
        rates = speed(options.rounds)
        ratio = rates["embedded"] / rates["mobilenetv3"]
        print(
            f"images/s: embedded {rates['embedded']:.0f}, mobilenetv3_large_100 {rates['mobilenetv3']:.0f}: {ratio:.2f}x"
        )
        detail["speed_ratio"] = ratio
        met = met and ratio >= 1
    value = {name: [round(m, 3), round(n, 3)] for name, (m, n) in ours.items()}
    report("embedded backbone, mAP and nearest neighbour", value, TARGETS, met, detail)


if __name__ == "__main__":
    main()
