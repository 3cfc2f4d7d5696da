"""One search as one self-contained HTML file: the query, the hits, their similarity."""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from PIL import Image, ImageDraw

from featurelens.durable import write_file

if TYPE_CHECKING:
    from featurelens.search import Gallery, Hit
    from featurelens.search.tokens import Box


def write_results_page(
    target: Path,
    gallery: Gallery,
    query_name: str,
    query: int | Path | None,
    hits: Sequence[Hit],
    *,
    box: Box | None = None,
    boxes: Sequence[Box] | None = None,
) -> None:
    """Write the page; thumbnails are inside the file, a click opens the original, a sound can be played. Nothing is fetched.

    A `query` of None was one of words. `box` is the part of the query that was searched for, `boxes` what matches it
    in each hit: both are drawn into the pictures.
    """
    from jinja2 import Environment, PackageLoader, select_autoescape

    pages = Environment(loader=PackageLoader("featurelens.web"), autoescape=select_autoescape())
    text = pages.get_template("results.html").render(
        query_name=query_name,
        query_picture=None if query is None else _inline(gallery.thumbnail(query), box),
        parts=boxes is not None,
        backbone=gallery.spec.name,
        things=gallery.spec.things,
        total=len(gallery),
        hits=[
            {
                "picture": _inline(gallery.thumbnail(hit.id), where),
                "link": _file_link(hit.path),
                "name": hit.name.encode("utf-8", "replace").decode(),
                "label": hit.label,
                "similarity": hit.similarity,
                "size": f"{hit.width} × {hit.height}" if hit.width else "",
            }
            for hit, where in zip(hits, boxes or [None] * len(hits), strict=True)
        ],
    )
    write_file(target, lambda file: file.write(text.encode("utf-8", "replace")), durable=False)


def _inline(picture: bytes, box: Box | None = None) -> str:
    picture = picture if box is None else _framed(picture, box)
    kind = "webp" if picture[8:12] == b"WEBP" else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(picture).decode()}"


def _framed(picture: bytes, box: Box) -> bytes:
    """The picture with a white line on a dark one around the part: it shows on any ground."""
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    left, top, right, bottom = (
        round(at * (side - 1)) for at, side in zip(box, (image.width, image.height) * 2, strict=True)
    )
    draw = ImageDraw.Draw(image)
    draw.rectangle((left, top, right, bottom), outline="black", width=4)
    draw.rectangle(
        (left + 1, top + 1, max(left + 1, right - 1), max(top + 1, bottom - 1)), outline="white", width=2
    )
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=85)
    return buffer.getvalue()


def _file_link(path: Path) -> str:
    return "file://" + quote(os.fsencode(path.absolute()))
