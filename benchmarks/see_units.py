"""Exemplars and histograms of all channels of a layer against bare extraction of the same images.

The layer is the last with places (1,280 channels): a pass for an earlier one ends there, and is faster.
Both run the same network on torch, from the same JPEGs.

python benchmarks/see_units.py [--images 1000] [--rounds 3]
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

THREADS = 2
for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, str(THREADS))

from _harness import alternate, report, table  # noqa: E402
from index_speed import draw_photos  # noqa: E402

NETWORK, LAYER = "mobilenetv2_100", "bn2"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()

    from featurelens import extract, load_backbone, see

    net = load_backbone(NETWORK, engine="torch", device="cpu", pretrained=False, threads=THREADS)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        draw_photos(folder, (500, 375), args.images)

        def rate(work) -> float:
            started = time.perf_counter()
            work()
            return args.images / (time.perf_counter() - started)

        rates = alternate(
            {
                "units of all channels": lambda: rate(lambda: see.units(folder, net, LAYER)),
                "bare extraction": lambda: rate(lambda: extract(folder, net)),
            },
            args.rounds,
            warm_up=False,
        )
    share = rates["units of all channels"] / rates["bare extraction"]
    print(table(["contender", "images/s"], list(rates.items())))
    report(
        f"units of all channels of {NETWORK} {LAYER} over {args.images} images, share of bare extraction speed",
        round(share, 3),
        ">= 0.85",
        share >= 0.85,
        {"images_per_second": rates},
    )


if __name__ == "__main__":
    main()
