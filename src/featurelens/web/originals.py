"""Original files of the gallery, given out only as the raster images or sounds that they are."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping

from fastapi import Response
from fastapi.responses import FileResponse

from featurelens.errors import ImageError
from featurelens.images.formats import HEAD, sniff
from featurelens.images.reading import read_elsewhere
from featurelens.search import Hit
from featurelens.web.problems import Problem, not_found

SHOWABLE = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp", "GIF": "image/gif",
             "BMP": "image/bmp", "AVIF": "image/avif", "ICO": "image/x-icon"}  # fmt: skip
PLAYABLE = {"WAV": "audio/wav", "FLAC": "audio/flac", "MP3": "audio/mpeg", "Ogg Vorbis": "audio/ogg",
            "Ogg Opus": "audio/ogg", "Ogg FLAC": "audio/ogg"}  # fmt: skip


def open_original(hit: Hit, headers: Mapping[str, str]) -> Response:
    """The file behind a hit; 404 if it has gone, 422 if browsers do not show its kind."""
    path = hit.path
    if (data := read_elsewhere(path)) is not None:
        return _of_bytes(data, headers)
    try:
        if not path.is_file():
            raise not_found("The file has gone since it was indexed.")
        with open(path, "rb") as file:
            kind = _kind(file.read(HEAD))
            status = os.fstat(file.fileno())
    except OSError as error:
        raise ImageError("the file cannot be read any more") from error
    media = _media(kind)
    etag = f'"{status.st_mtime_ns:x}-{status.st_size:x}"'
    kept = {"etag": etag, "cache-control": "private, no-cache"}
    if headers.get("if-none-match") == etag:
        return Response(status_code=304, headers=kept)
    return FileResponse(path, media_type=media, headers=kept)


def _of_bytes(data: bytes, headers: Mapping[str, str]) -> Response:
    """The same for an image of another store or inside of a shard."""
    media = _media(_kind(data[:HEAD]))
    etag = f'"{hashlib.blake2b(data, digest_size=12).hexdigest()}"'
    kept = {"etag": etag, "cache-control": "private, no-cache"}
    if headers.get("if-none-match") == etag:
        return Response(status_code=304, headers=kept)
    return Response(data, media_type=media, headers=kept)


def _kind(head: bytes) -> str | None:
    from featurelens.sounds.formats import sniff as sniff_sound

    return sniff(head) or sniff_sound(head)


def _media(kind: str | None) -> str:
    media = SHOWABLE.get(kind or "") or PLAYABLE.get(kind or "")
    if media is None:
        raise Problem(422, f"{kind or 'A file of unknown kind'} is not shown by browsers; use the thumbnail.")
    return media
