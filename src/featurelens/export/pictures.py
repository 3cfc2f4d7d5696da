"""The images on which an exported network is calibrated and compared."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from featurelens.backbone.noise import structured_noise
from featurelens.errors import ImageError, InvalidInput
from featurelens.images.decode import decode
from featurelens.images.find import find_files
from featurelens.images.fit import Fit
from featurelens.shapes import UInt8


def pictures(
    folder: str | os.PathLike[str] | None, fit: Fit, limit: int, *, seed: int = 0
) -> UInt8[np.ndarray, "image row col 3"]:
    """At most `limit` images of a folder (and the folders in it), drawn evenly at random; None: structured noise.

    Files that are no images are passed over. Raises InvalidInput without a folder or a readable image in it.
    """
    if folder is None:
        return structured_noise(fit)
    root = Path(folder)
    if not root.is_dir():
        raise InvalidInput(f"There is no folder {root}; give one with images to compare on.")
    names = sorted(found.name for found in find_files(root))
    found = []
    for which in np.random.default_rng(seed).permutation(len(names)):
        if len(found) == limit:
            break
        try:
            found.append(decode(root / names[which], fit=fit).pixels)
        except (ImageError, OSError):
            continue
    if not found:
        raise InvalidInput(f"No file in {root} can be read as an image.")
    return np.stack(found)
