"""int8 bundles against our own float32 path on the CPU: images a second, and the neighbours that stay the same.

Calibrated on half of 400 photos of clothing10 in ../shared, judged on the other half. MobileNetV2 has its real weights, ViT-S
random ones (its speed does not depend on them).
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from _harness import alternate, report, table

SHARED = Path(__file__).resolve().parents[2] / "shared"
NETWORKS = {
    # name: (how to load it, trained, target speed)
    "vit_small_patch16_224": ("vit_small_patch16_224", False, 2.0),
    "mobilenetv2_100": (f"local-dir:{SHARED / 'weights' / 'mobilenetv2_100.tflite_in1k'}", True, 1.2),
}


def claim(network: str, limit: int, rounds: int) -> None:
    from featurelens import load_backbone
    from featurelens.backbone.bundle import open_bundle
    from featurelens.errors import BackboneError
    from featurelens.export import export
    from featurelens.export.pictures import pictures

    name, trained, target = NETWORKS[network]
    photos = SHARED / "data" / "clothing10"
    whole = load_backbone(name, pretrained=trained, engine="openvino", threads=2)
    claimed = f"int8 {network} over float32, images/s; neighbours that stay the same"
    targets = {"speed": f">= {target}", "neighbours": ">= 0.95"}
    with tempfile.TemporaryDirectory() as folder:
        try:
            made = export(
                name, Path(folder) / "small", int8=True, images=photos, limit=limit, pretrained=trained
            )
        except BackboneError as error:
            print(error)
            report(claimed, "refused", targets, False, {"why": str(error)})
            return
        small = open_bundle(made.folder, threads=2)
        pixels = pictures(photos, whole.spec.fit, 128)
        runs = {"float32": lambda: _embed(whole, pixels), "int8": lambda: _embed(small, pixels)}
        seconds = alternate(runs, rounds)
    speed, same = seconds["float32"] / seconds["int8"], made.parity.neighbours or 0.0
    print(table([network, "images/s"], [[n, len(pixels) / s] for n, s in seconds.items()]))
    print(f"{made.left} layers in float32; {made.parity}")
    met = speed >= target and same >= 0.95
    value = {"speed": round(speed, 2), "neighbours": round(same, 3)}
    report(
        claimed, value, targets, met, {"left": made.left, "cosine": made.parity.cosine, "seconds": seconds}
    )


def _embed(backbone, pixels) -> None:
    backbone.embed(pixels)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("network", nargs="?", choices=list(NETWORKS))
    options.add_argument("--limit", type=int, default=400)
    options.add_argument("--rounds", type=int, default=5)
    given = options.parse_args()
    if not SHARED.is_dir():
        sys.exit(f"needs the photos and weights in {SHARED}")
    if given.network:
        claim(given.network, given.limit, given.rounds)
        return
    for network in NETWORKS:  # each in a process of its own
        subprocess.run([sys.executable, __file__, network, f"--limit={given.limit}"], check=True)


if __name__ == "__main__":
    main()
