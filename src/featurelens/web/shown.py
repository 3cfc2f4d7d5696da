"""What the gallery holds, in the words of the REST service."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any
from zlib import crc32

from pydantic import BaseModel, Field

from featurelens.backbone import PATHS
from featurelens.search import Hit

ID = Annotated[int, Field(ge=0, le=2**63 - 1)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Box = Annotated[list[Fraction], Field(min_length=4, max_length=4)]


class ShownHit(BaseModel):
    """An image of the gallery; `similarity` is the cosine to the query, 1 where nothing was asked."""

    id: int
    name: str
    similarity: float
    label: str | None
    width: int
    height: int
    thumbnail: str
    box: Box | None = None


def shown(hit: Hit, **more: Any) -> ShownHit:
    """A hit as clients see it, with its `box` if that is known; bytes of a name that are no text come as escapes."""
    return ShownHit(
        id=hit.id,
        name=readable(hit.name),
        similarity=hit.similarity,
        label=hit.label,
        width=hit.width,
        height=hit.height,
        thumbnail=f"/api/v1/images/{hit.id}/thumbnail?side=256&of={stamp(hit)}",
        **more,
    )


def stamp(hit: Hit) -> str:
    """What tells an image from one of the same id in another gallery that was or will be served here."""
    return f"{crc32(os.fsencode(hit.path)):08x}"


def readable(name: str) -> str:
    """A file name as text that JSON can carry."""
    return name.encode("utf-8", "backslashreplace").decode()


def model_name(name: str) -> str:
    """A backbone's name for clients: of a path only its last part, the rest is the server's own business.

    >>> model_name("local-dir:/home/ann/nets/mobilenetv2_100"), model_name("resnet50")
    ('local-dir:mobilenetv2_100', 'resnet50')
    """
    scheme, _, rest = name.partition(":")
    return readable(f"{scheme}:{Path(rest).name}" if scheme in PATHS or Path(rest).is_absolute() else name)


class ShownProblem(BaseModel):
    """RFC 9457: what went wrong, and what to do about it."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str


WHAT = {
    400: "The request cannot be read.",
    401: "The token is missing or wrong (only where the service has one).",
    403: "Asked under a strange host name, or by a page of another site.",
    404: "There is nothing of this id or name.",
    405: "Not this method.",
    408: "The request took too long to arrive.",
    409: "It cannot be done now, or not with this gallery's network.",
    413: "The request or the image is too large.",
    422: "Something in the request is not as expected, or the image cannot be used.",
    429: "Too much at once: by everybody, or by this client. The header Retry-After says when to try again, in seconds.",
    501: "An extra that is not installed would be needed; the field `extra` names it.",
    503: "The gallery cannot be used at the moment, or the service is ending.",
    504: "It took too long and was given up.",
}


def problems(*more: int) -> dict[int | str, dict[str, Any]]:
    """The problems that a route may end in, for OpenAPI: those of every route, and `more`."""
    body = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/ShownProblem"}}}
    return {
        status: {"description": WHAT[status], "content": body, **headers(status)}
        for status in sorted({*EVERYWHERE, *more})
    }


EVERYWHERE = (400, 401, 403, 405, 429, 503, 504)


def headers(status: int) -> dict[str, Any]:
    """The headers that come with a problem, for OpenAPI."""
    after = {"description": "Seconds to wait.", "schema": {"type": "integer", "minimum": 1}}
    return {"headers": {"Retry-After": after}} if status == 429 else {}
