"""Original files of the gallery, given out only as the raster images that they are."""

from __future__ import annotations

import os
from collections.abc import Mapping

from fastapi import Response
from fastapi.responses import FileResponse

from featurelens.errors import ImageError
from featurelens.images.formats import HEAD, sniff
from featurelens.search import Hit
from featurelens.web.problems import Problem, not_found

SHOWABLE = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp", "GIF": "image/gif",
             "BMP": "image/bmp", "AVIF": "image/avif", "ICO": "image/x-icon"}  # fmt: skip


def open_original(hit: Hit, headers: Mapping[str, str]) -> Response:
    """The file behind a hit; 404 if it has gone, 422 if browsers do not show its kind."""
    path = hit.path
    try:
        if not path.is_file():
            raise not_found("The file has gone since it was indexed.")
        with open(path, "rb") as file:
            kind = sniff(file.read(HEAD))
            status = os.fstat(file.fileno())
    except OSError as error:
        raise ImageError("the file cannot be read any more") from error
    if kind not in SHOWABLE:
        raise Problem(422, f"{kind or 'A file of unknown kind'} is not shown by browsers; use the thumbnail.")
    etag = f'"{status.st_mtime_ns:x}-{status.st_size:x}"'
    kept = {"etag": etag, "cache-control": "private, no-cache"}
    if headers.get("if-none-match") == etag:
        return Response(status_code=304, headers=kept)
    return FileResponse(path, media_type=SHOWABLE[kind], headers=kept)
