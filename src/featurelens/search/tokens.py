"""The token maps of images, square by square, kept in the gallery folder as a cache that may be deleted."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from math import ceil, floor
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from PIL import Image

from featurelens.backbone.protocol import Backbone
from featurelens.backbone.request import free_cores
from featurelens.durable import write_file
from featurelens.errors import BackboneError, ImageError
from featurelens.images.decode import decode
from featurelens.images.fit import Fit
from featurelens.images.resize import PILLOW
from featurelens.search.content import Content, edited
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
        self, files: Sequence[tuple[Path, Content | None]]
    ) -> list[tuple[list[Box], Float[np.ndarray, "tile channel grid_row grid_col"]] | None]:
        """For each (path, what it held when indexed) the squares and their maps; None where the file cannot be read."""
        with ThreadPoolExecutor(min(8, free_cores()), thread_name_prefix="featurelens-maps") as pool:
            return list(pool.map(lambda pair: self._of_file(*pair), files))

    def of_pixels(
        self, pixels: UInt8[np.ndarray, "row col 3"], boxes: Sequence[Box]
    ) -> Float[np.ndarray, "tile channel grid_row grid_col"]:
        """The maps of parts of a picture in memory; a box may reach beyond the rim, where the rim is repeated."""
        return self._backbone.maps(np.stack([fitted(pixels, box, self._fit) for box in boxes]))

    def _of_file(
        self, path: Path, content: Content | None
    ) -> tuple[list[Box], Float[np.ndarray, "tile channel grid_row grid_col"]] | None:
        cached = self._place(content.hash if content else None)
        if cached is not None:
            try:
                with np.load(cached, allow_pickle=False) as held:
                    return [tuple(box) for box in held["boxes"].tolist()], held["maps"]
            except (OSError, ValueError, KeyError, EOFError, BadZipFile):
                pass  # cut short: it is made anew
        try:
            boxes, pixels = self._decoded(path)
        except ImageError:
            return None
        maps = self._backbone.maps(pixels).astype(np.float16)
        if cached is not None and content and not edited(path, (content.size, content.mtime_ns)):
            _keep(cached, boxes, maps)
        return boxes, maps

    def _decoded(self, path: Path) -> tuple[list[Box], np.ndarray]:
        """The squares and their pixels; decoded no larger than the squares need."""
        whole = decode(path, max_pixels=self._max_pixels)
        boxes = squares(whole.width / whole.height)
        return boxes, np.stack([fitted(whole.pixels, box, self._fit) for box in boxes])

    def _place(self, digest: bytes | None) -> Path | None:
        if self._folder is None or not digest:
            return None
        name = hashlib.sha256(digest + self._backbone.spec.fingerprint.encode()).hexdigest()
        return self._folder / FOLDER / name[:2] / f"{name[:32]}.npz"


def cut(pixels: UInt8[np.ndarray, "row col 3"], box: Box) -> UInt8[np.ndarray, "part_row part_col 3"]:
    """The part of a picture inside a box that lies in it, a pixel at least."""
    rows, cols = pixels.shape[:2]
    left, right = _ends(box[0], box[2], cols)
    top, bottom = _ends(box[1], box[3], rows)
    return np.ascontiguousarray(pixels[min(top, rows - 1) : bottom, min(left, cols - 1) : right])


def fitted(
    pixels: UInt8[np.ndarray, "row col 3"], box: Box, fit: Fit
) -> UInt8[np.ndarray, "fit_row fit_col 3"]:
    """The part of a picture inside a box at the size of `fit`; what lies beyond the rim repeats the rim.

    The longer side comes first, and most of what lies beyond is added when it is small: round a long picture the
    box may have a hundred times the picture's pixels.
    """
    longer = int(pixels.shape[1] >= pixels.shape[0])
    for axis in (longer, 1 - longer):
        pixels = _along(pixels, axis, box[1 - axis], box[3 - axis], fit)
    return pixels


def _along(pixels: np.ndarray, axis: int, low: float, high: float, fit: Fit) -> np.ndarray:
    """One side of `fitted`: the stretch from `low` to `high`, of as many pixels as `fit` has there."""
    length, target = pixels.shape[axis], (fit.rows, fit.cols)[axis]
    first, last = _ends(low, high, length)
    step = (last - first) / target  # the picture's pixels in one of the target
    reach = ceil(4 * max(1, 1 / step))  # of the target's pixels; no filter sees further: beyond is only rim
    start = min(max(floor(-first / step) - reach, 0), target - 1)
    stop = max(min(ceil((length - first) / step) + reach, target), start + 1)
    begin, end = first + start * step, first + stop * step
    at, until = floor(begin + 1e-6), ceil(end - 1e-6)
    part = Image.fromarray(pixels.take(np.clip(np.arange(at, until), 0, length - 1), axis))
    size, box = list(part.size), [0.0, 0.0, *map(float, part.size)]
    side = 1 - axis  # Pillow has the width first
    size[side], box[side], box[2 + side] = stop - start, max(begin - at, 0.0), min(end - at, until - at)
    left, top, right, bottom = box
    shrunk = np.asarray(
        part.resize((size[0], size[1]), PILLOW[fit.interpolation], (left, top, right, bottom))
    )
    pad = [(0, 0)] * 3
    pad[axis] = start, target - stop
    return np.pad(shrunk, pad, mode="edge")


def _ends(low: float, high: float, length: int) -> tuple[int, int]:
    first = round(low * length)
    return first, max(first + 1, round(high * length))


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
