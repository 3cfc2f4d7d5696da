"""How long a command takes from nothing: `--help` against typer + rich, a search against the bare engine.

python benchmarks/cold_start.py help|search   (no argument: both)
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from _harness import alternate, report, table

COMMAND = str(Path(sys.executable).with_name("featurelens"))
ENGINE = """
import sys, numpy as np, openvino as ov
core = ov.Core()
model = core.compile_model(core.read_model(sys.argv[1]), "CPU", {"PERFORMANCE_HINT": "LATENCY"})
rows, cols = map(int, sys.argv[2:4])
model(np.zeros((1, 3, rows, cols), np.float32))
"""


def run(*words: str) -> Callable[[], None]:
    """A whole process, its output thrown away; a failing one stops the benchmark."""

    def once() -> None:
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    return once


def help_claim(rounds: int) -> None:
    """`featurelens --help` imports no torch, openvino or numpy."""
    seconds = alternate(
        {
            "featurelens --help": run(COMMAND, "--help"),
            "import typer, rich": run(sys.executable, "-c", "import typer, rich"),
        },
        rounds,
    )
    ratio = seconds["featurelens --help"] / seconds["import typer, rich"]
    print(table(["process", "seconds"], list(seconds.items())))
    report("featurelens --help over importing typer and rich", round(ratio, 2), "<= 2", ratio <= 2, seconds)


def search_claim(rounds: int) -> None:
    """A search in a gallery of 1,000 images, from a cold process, with the embedded backbone."""
    import numpy as np
    from PIL import Image

    from featurelens import Gallery, load_backbone
    from featurelens.backbone import embedded

    backbone = load_backbone()
    fit = backbone.spec.fit
    random = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for i in range(1000):
            small = random.integers(0, 256, (6, 8, 3), np.uint8)
            Image.fromarray(small).resize((500, 375), Image.Resampling.BICUBIC).save(folder / f"{i:04d}.jpg")
        with Gallery.create(folder, backbone=backbone) as gallery:
            gallery.update()
        onnx = str(Path(embedded.__file__).with_name("embedded") / "model.onnx")
        engine = (sys.executable, "-c", ENGINE, onnx, str(fit.rows), str(fit.cols))
        search = (COMMAND, "search", str(folder / "0007.jpg"), "--gallery", str(folder))
        seconds = alternate(
            {"featurelens search": run(*search), "openvino: import, compile, embed one": run(*engine)}, rounds
        )
    ratio = seconds["featurelens search"] / seconds["openvino: import, compile, embed one"]
    print(table(["process", "seconds"], list(seconds.items())))
    report("cold search in 1,000 images over the bare engine", round(ratio, 2), "<= 2", ratio <= 2, seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("claim", nargs="?", choices=["help", "search"])
    parser.add_argument("--rounds", type=int, default=11)
    options = parser.parse_args()
    if options.claim is None:
        for claim in ("help", "search"):
            subprocess.run([sys.executable, __file__, claim, "--rounds", str(options.rounds)], check=True)
    else:
        {"help": help_claim, "search": search_claim}[options.claim](options.rounds)


if __name__ == "__main__":
    main()
