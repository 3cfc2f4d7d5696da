"""Small pictures of the gallery's images, made when first asked for."""

from __future__ import annotations

import io
import os
import sqlite3
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from featurelens.backbone.protocol import Spec
from featurelens.backbone.reader import reader_of
from featurelens.durable import write_file
from featurelens.errors import InvalidInput
from featurelens.images.decode import Source, decode
from featurelens.images.fit import Fit
from featurelens.search.content import edited

FOLDER = "thumbnails"


@dataclass(frozen=True)
class Original:
    """What the database knows of an image: its path below the root, the hash of its content, its size if known.

    `stamp`: the file's (bytes, mtime_ns) when it had this content.
    """

    path: str
    hash: bytes | None
    size: tuple[int, int] | None
    stamp: tuple[int, int] | None = None


def original_of(connection: sqlite3.Connection, one: int) -> Original:
    """The original of one image of the gallery; InvalidInput for an unknown id."""
    query = "SELECT path, hash, width, height, size, mtime_ns FROM images WHERE id = ? AND status = 'indexed'"
    row = connection.execute(query, (one,)).fetchone()
    if row is None:
        raise InvalidInput(f"No image of the gallery has the id {one}.")
    path, digest, width, height, *stamp = row
    return Original(
        os.fsdecode(path), digest or None, (width, height) if width else None, (stamp[0], stamp[1])
    )


def thumbnail_of(
    original: Original,
    folder: Path,
    root: Path,
    *,
    side: int,
    max_pixels: int,
    keep: bool,
    spec: Spec | None = None,
) -> bytes:
    """The WebP of one image; from the cache, or made and (if `keep`) cached. Decoding needs no connection.

    `spec` tells of files that are no images. Raises ReadError if the original cannot be read any more.
    """
    name = original.hash.hex() if original.hash else None
    cached = folder / FOLDER / name[:2] / f"{name}-{side}-whole.webp" if name else None
    if cached is not None:
        try:
            held = cached.read_bytes()
        except OSError:
            held = b""
        if held[:4] == b"RIFF" and len(held) == int.from_bytes(held[4:8], "little") + 8:
            return held
    file = root / original.path

    def changed() -> bool:
        return original.stamp is not None and edited(file, original.stamp)

    size = None if changed() else original.size  # an edited picture may have other proportions
    picture = make_thumbnail(file, side=side, size=size, max_pixels=max_pixels, spec=spec)
    # it has another content, too, which must not be kept under the hash of the one before
    if cached is not None and keep and not changed():
        try:
            cached.parent.mkdir(parents=True, exist_ok=True)
            write_file(cached, lambda file: file.write(picture), durable=False)
        except OSError:
            pass  # a full disk: the picture is there all the same
    return picture


def make_thumbnail(
    source: Source, *, side: int, size: tuple[int, int] | None, max_pixels: int, spec: Spec | None = None
) -> bytes:
    """A WebP whose longer side is `side` pixels (never enlarged); `size` is (width, height) if known."""
    if spec is not None and spec.modality != "image":
        image = reader_of(spec).picture(source, side)
    elif size is None:
        pixels = decode(source, max_pixels=max_pixels).pixels
        image = Image.fromarray(pixels)
        image.thumbnail((side, side), Image.Resampling.BILINEAR, reducing_gap=2.0)
    else:
        scale = min(1.0, side / max(size))
        cols, rows = (max(1, round(length * scale)) for length in size)
        fit = Fit(rows, cols, mode="squash", crop_pct=1.0, interpolation="bilinear")
        image = Image.fromarray(decode(source, fit=fit, max_pixels=max_pixels).pixels)
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=80, method=2)
    return buffer.getvalue()
