"""Procedural images on one sheet: python docs/make_contact_sheet.py docs/images/procedural.webp"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image

from featurelens.images.procedural import contact_sheet


def main() -> None:
    target = Path(sys.argv[1])
    target.parent.mkdir(parents=True, exist_ok=True)
    halves = [contact_sheet(programmes=8, views=5, size=96, seed=seed) for seed in (1, 2)]
    Image.fromarray(np.concatenate(halves, axis=1)).save(target, quality=75)


if __name__ == "__main__":
    main()
