"""Small pictures of the gallery's images, made when first asked for."""

from __future__ import annotations

import io
import os
import sqlite3
from pathlib import Path

from PIL import Image

from featurelens.errors import InvalidInput
from featurelens.features.durable import write_file
from featurelens.images.decode import Source, decode
from featurelens.images.fit import Fit

FOLDER = "thumbnails"


def thumbnail_of(
    connection: sqlite3.Connection,
    folder: Path,
    root: Path,
    one: int,
    *,
    side: int,
    max_pixels: int,
    keep: bool,
) -> bytes:
    """The WebP of one image of the gallery; from the cache, or made and (if `keep`) cached.

    Raises InvalidInput for an unknown id, ImageError if the original cannot be read any more.
    """
    query = "SELECT path, hash, width, height FROM images WHERE id = ? AND status = 'indexed'"
    row = connection.execute(query, (one,)).fetchone()
    if row is None:
        raise InvalidInput(f"No image of the gallery has the id {one}.")
    path, digest, width, height = row
    name = digest.hex() if digest else None
    cached = folder / FOLDER / name[:2] / f"{name}-{side}.webp" if name else None
    if cached is not None:
        try:
            return cached.read_bytes()
        except OSError:
            pass
    picture = make_thumbnail(
        root / os.fsdecode(path), side=side, size=(width, height) if width else None, max_pixels=max_pixels
    )
    if cached is not None and keep:
        try:
            cached.parent.mkdir(parents=True, exist_ok=True)
            write_file(cached, lambda file: file.write(picture), durable=False)
        except OSError:
            pass  # a full disk: the picture is there all the same
    return picture


def make_thumbnail(source: Source, *, side: int, size: tuple[int, int] | None, max_pixels: int) -> bytes:
    """A WebP whose longer side is `side` pixels (never enlarged); `size` is (width, height) if known."""
    if size is None:
        pixels = decode(source, max_pixels=max_pixels).pixels
        image = Image.fromarray(pixels)
        image.thumbnail((side, side), Image.Resampling.BILINEAR, reducing_gap=2.0)
    else:
        scale = min(1.0, side / max(size))
        cols, rows = (max(1, round(length * scale)) for length in size)
        fit = Fit(rows, cols, mode="squash", interpolation="bilinear")
        image = Image.fromarray(decode(source, fit=fit, max_pixels=max_pixels).pixels)
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=80, method=2)
    return buffer.getvalue()
