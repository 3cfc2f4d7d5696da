"""Small pictures inside the page: JPEG as data URIs, each decoded once."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

from PIL import Image

from featurelens.errors import FeaturelensError
from featurelens.images.decode import decode
from featurelens.images.fit import Fit

SIDE = 120


class Thumbnails:
    """Data URIs of the images of a folder by row; an image that cannot be read any more gives ""."""

    def __init__(self, root: Path | None, ids: Sequence[str]) -> None:
        self._root, self._ids = root, ids
        self._made: dict[int, str] = {}

    def __call__(self, row: int) -> str:
        if row not in self._made:
            self._made[row] = self._make(row)
        return self._made[row]

    def _make(self, row: int) -> str:
        if self._root is None:
            return ""
        try:
            pixels = decode(self._root / self._ids[row], fit=Fit(SIDE, SIDE, crop_pct=1.0)).pixels
        except (FeaturelensError, OSError):
            return ""
        file = BytesIO()
        Image.fromarray(pixels).save(file, "JPEG", quality=72)
        return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()
