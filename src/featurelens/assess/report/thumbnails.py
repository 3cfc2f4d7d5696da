"""Small pictures inside the page: JPEG as data URIs, each decoded once."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageOps

from featurelens.backbone.protocol import Spec
from featurelens.backbone.reader import reader_of
from featurelens.errors import FeaturelensError
from featurelens.images.decode import decode
from featurelens.images.fit import Fit

SIDE = 120


class Thumbnails:
    """Data URIs of the images of a folder by row; an image that cannot be read any more gives ""."""

    def __init__(self, root: Path | None, ids: Sequence[str], spec: Spec | None = None) -> None:
        self._root, self._ids = root, ids
        self._reader = None if spec is None or spec.modality == "image" else reader_of(spec)
        self._made: dict[int, str] = {}

    def __call__(self, row: int) -> str:
        if row not in self._made:
            self._made[row] = self._make(row)
        return self._made[row]

    def _make(self, row: int) -> str:
        if self._root is None:
            return ""
        try:
            path = self._root / self._ids[row]
            if self._reader is not None:
                image = ImageOps.fit(self._reader.picture(path, 2 * SIDE), (SIDE, SIDE))
            else:
                image = Image.fromarray(decode(path, fit=Fit(SIDE, SIDE, crop_pct=1.0)).pixels)
        except (FeaturelensError, OSError):
            return ""
        file = BytesIO()
        image.save(file, "JPEG", quality=72)
        return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()
