"""One search as one self-contained HTML file: the query, the hits, their similarity."""

from __future__ import annotations

import base64
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from featurelens.search import Gallery, Hit


def write_results_page(
    target: Path, gallery: Gallery, query_name: str, query: int | Path | None, hits: Sequence[Hit]
) -> None:
    """Write the page; thumbnails are inside the file, a click opens the original. Nothing is fetched.

    A `query` of None was one of words.
    """
    from jinja2 import Environment, PackageLoader, select_autoescape

    pages = Environment(loader=PackageLoader("featurelens.web"), autoescape=select_autoescape())
    text = pages.get_template("results.html").render(
        query_name=query_name,
        query_picture=None if query is None else _inline(gallery.thumbnail(query)),
        backbone=gallery.spec.name,
        total=len(gallery),
        hits=[
            {
                "picture": _inline(gallery.thumbnail(hit.id)),
                "link": _file_link(hit.path),
                "name": hit.name.encode("utf-8", "replace").decode(),
                "label": hit.label,
                "similarity": hit.similarity,
                "size": f"{hit.width} × {hit.height}",
            }
            for hit in hits
        ],
    )
    part = target.with_name(target.name + ".tmp")
    part.write_text(text, encoding="utf-8")
    os.replace(part, target)


def _inline(picture: bytes) -> str:
    kind = "webp" if picture[8:12] == b"WEBP" else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(picture).decode()}"


def _file_link(path: Path) -> str:
    return "file://" + quote(os.fsencode(path.absolute()))
