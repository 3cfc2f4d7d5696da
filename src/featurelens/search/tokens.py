"""The token maps of images, square by square, kept in the gallery folder as a cache that may be deleted."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from featurelens.backbone.protocol import Backbone
from featurelens.errors import BackboneError, ImageError
from featurelens.features.durable import write_file
from featurelens.features.extract import usable_cores
from featurelens.images.decode import decode
from featurelens.shapes import Float, UInt8

FOLDER = "maps"
KEPT = 64  # files in each of 256 folders, about 2 GB in all; the oldest go first
_BATCH = 16
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Tile:
    """A square part of a picture: `box` is (left, top, right, bottom) as fractions of the whole."""

    box: Box


def squares(aspect: float) -> list[Box]:
    """Overlapping squares that cover a picture of this width / height: as few as overlap by a fifth or more.

    >>> squares(1.0)
    [(0.0, 0.0, 1.0, 1.0)]
    """
    long = max(aspect, 1 / aspect)
    count = 1 if long < 1.05 else max(2, int(np.ceil((long - 0.2) / 0.8)))
    count = min(count, 8)
    side = 1 / long
    starts = [0.0] if count == 1 else np.linspace(0, 1 - side, count).tolist()
    parts = [(0.0, 1.0)] if count == 1 else [(start, start + side) for start in starts]
    return [(low, 0.0, high, 1.0) if aspect >= 1 else (0.0, low, 1.0, high) for low, high in parts]


class TokenMaps:
    """Makes and keeps the maps of a gallery's images; BackboneError for a backbone without a map."""

    def __init__(self, backbone: Backbone, folder: Path | None, *, max_pixels: int) -> None:
        if not backbone.spec.map_channels:
            raise BackboneError(
                f"'{backbone.spec.name}' gives no map, so regions cannot be found with it. The embedded backbone "
                "and most networks can: index with one of them."
            )
        self._backbone, self._folder, self._max_pixels = backbone, folder, max_pixels
        fit = backbone.spec.fit
        self._fit = replace(fit, mode="squash", crop_pct=1.0)
        self._side = fit.rows, fit.cols

    def of_files(
        self, files: Sequence[tuple[Path, bytes | None]]
    ) -> list[tuple[list[Box], Float[np.ndarray, "tile channel grid_row grid_col"]] | None]:
        """For each (path, content hash) the squares and their maps; None where the file cannot be read."""
        with ThreadPoolExecutor(min(8, usable_cores()), thread_name_prefix="featurelens-maps") as pool:
            return list(pool.map(lambda pair: self._of_file(*pair), files))

    def of_pixels(
        self, pixels: UInt8[np.ndarray, "row col 3"], boxes: Sequence[Box]
    ) -> Float[np.ndarray, "tile channel grid_row grid_col"]:
        """The maps of parts of a picture in memory; a box may reach beyond the rim, where the rim is repeated."""
        fitted = np.stack([decode(cut(pixels, box), fit=self._fit).pixels for box in boxes])
        return self._backbone.maps(fitted)

    def _of_file(
        self, path: Path, digest: bytes | None
    ) -> tuple[list[Box], Float[np.ndarray, "tile channel grid_row grid_col"]] | None:
        cached = self._place(digest)
        if cached is not None:
            try:
                with np.load(cached, allow_pickle=False) as held:
                    return [tuple(box) for box in held["boxes"].tolist()], held["maps"]
            except (OSError, ValueError, KeyError, EOFError):
                pass
        try:
            boxes, pixels = self._decoded(path)
        except ImageError:
            return None
        maps = self._backbone.maps(pixels).astype(np.float16)
        if cached is not None:
            _keep(cached, boxes, maps)
        return boxes, maps

    def _decoded(self, path: Path) -> tuple[list[Box], np.ndarray]:
        """The squares and their pixels; decoded no larger than the squares need."""
        whole = decode(path, max_pixels=self._max_pixels)
        boxes = squares(whole.width / whole.height)
        return boxes, np.stack([decode(cut(whole.pixels, box), fit=self._fit).pixels for box in boxes])

    def _place(self, digest: bytes | None) -> Path | None:
        if self._folder is None or not digest:
            return None
        name = hashlib.sha256(digest + self._backbone.spec.fingerprint.encode()).hexdigest()
        return self._folder / FOLDER / name[:2] / f"{name[:32]}.npz"


def cut(pixels: UInt8[np.ndarray, "row col 3"], box: Box) -> UInt8[np.ndarray, "part_row part_col 3"]:
    """The part of a picture inside a box; what lies beyond the rim repeats the rim."""
    rows, cols = pixels.shape[:2]
    left, top, right, bottom = box
    row = np.arange(round(top * rows), max(round(top * rows) + 1, round(bottom * rows)))
    col = np.arange(round(left * cols), max(round(left * cols) + 1, round(right * cols)))
    if row[0] >= 0 and col[0] >= 0 and row[-1] < rows and col[-1] < cols:
        return np.ascontiguousarray(pixels[row[0] : row[-1] + 1, col[0] : col[-1] + 1])
    return pixels[np.clip(row, 0, rows - 1)[:, None], np.clip(col, 0, cols - 1)[None]]


def _keep(path: Path, boxes: list[Box], maps: np.ndarray) -> None:
    buffer = io.BytesIO()
    np.savez(buffer, boxes=np.array(boxes), maps=maps)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        held = sorted(path.parent.glob("*.npz"), key=lambda file: file.stat().st_mtime)
        for old in held[: max(0, len(held) - KEPT + 1)]:
            old.unlink(missing_ok=True)
        write_file(path, lambda file: file.write(buffer.getbuffer()), durable=False)
    except OSError:
        return  # a full disk, or not ours: the map is there all the same
