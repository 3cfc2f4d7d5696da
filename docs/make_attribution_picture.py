"""The pictures in docs/see-attribution.md: three photos of scikit-image, what a trained network sees in them, and why.

    python docs/make_attribution_picture.py --backbone mobilenetv2_100

Any classifier trained on ImageNet will do (a local one: --backbone local-dir:FOLDER).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from featurelens import load_backbone, see
from featurelens.see.render import sheet

IMAGES = Path(__file__).with_name("images")
METHODS = ("grad-cam", "integrated-gradients")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--backbone", default="mobilenetv2_100")
    options.add_argument("--max-steps", type=int, default=512)
    given = options.parse_args()
    from skimage import data

    network = load_backbone(given.backbone, engine="torch", device="cpu")
    photos = [data.chelsea(), data.coffee(), data.rocket()]
    rows = []
    for method in METHODS:
        more = {"max_steps": given.max_steps} if method == "integrated-gradients" else {}
        rows += [
            found.picture(side=200) for found in see.explain_many(network, photos, method=method, **more)
        ]
    write(sheet(rows, columns=3), IMAGES / "attribution.webp")
    embedded = load_backbone()
    cat = data.chelsea()
    pair = see.similarity(embedded, cat[:, :340], cat[20:280, 90:440])
    write(pair.picture(), IMAGES / "similarity.webp")


def write(picture: np.ndarray, file: Path) -> None:
    file.parent.mkdir(exist_ok=True)
    Image.fromarray(picture).save(file, quality=85)


if __name__ == "__main__":
    main()
