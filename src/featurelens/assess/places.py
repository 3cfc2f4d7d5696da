"""Where the features and reports of a folder of images are kept."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from featurelens.backbone.cache import cache_folder


def place_for(images: Path) -> Path:
    """`IMAGES/.featurelens/assess`; where that cannot be written, a folder of its own in the user's cache.

    The folder exists afterwards. Raises OSError when neither can be made.
    """
    beside = images / ".featurelens" / "assess"
    try:
        beside.mkdir(parents=True, exist_ok=True)
        if os.access(beside, os.W_OK):
            return beside
    except OSError:
        pass
    whole = str(images.resolve())
    name = f"{images.resolve().name}-{hashlib.sha256(os.fsencode(whole)).hexdigest()[:8]}"
    away = cache_folder() / "assess" / name
    away.mkdir(parents=True, exist_ok=True)
    return away
