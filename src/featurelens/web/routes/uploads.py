"""Query images from outside of the gallery."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, File, Path, Query, Response, UploadFile
from pydantic import BaseModel

from featurelens.search.thumbnails import make_thumbnail
from featurelens.web.decoder import SHOWN
from featurelens.web.queries import read_upload
from featurelens.web.service import Served
from featurelens.web.shown import problems

router = APIRouter(prefix="/api/v1", tags=["uploads"])
Token = Annotated[str, Path(max_length=64)]


class Uploaded(BaseModel):
    """What to search or explain with: the token; it lasts as long as the server and the memory for uploads."""

    upload: str
    width: int
    height: int
    thumbnail: str


@router.post("/uploads", status_code=201, responses=problems(408, 413, 422))
def upload(service: Served, file: Annotated[UploadFile, File()]) -> Uploaded:
    """Send an image once, then use it in searches, matches and explanations."""
    kept = read_upload(service, file.file.read(service.limits.upload + 1), shown=True)
    token = service.uploads.put(kept)
    return Uploaded(
        upload=token,
        width=kept.width,
        height=kept.height,
        thumbnail=f"/api/v1/uploads/{token}/thumbnail",
    )


@router.get("/uploads/{token}", responses=problems(404, 422))
def known(service: Served, token: Token) -> Uploaded:
    """Whether an upload is still there."""
    kept = service.uploads.get(token)
    return Uploaded(
        upload=token, width=kept.width, height=kept.height, thumbnail=f"/api/v1/uploads/{token}/thumbnail"
    )


@router.get(
    "/uploads/{token}/thumbnail",
    response_class=Response,
    responses={200: {"content": {"image/webp": {}}}, **problems(404, 422)},
)
def thumbnail(
    service: Served, token: Token, side: Annotated[int, Query(ge=16, le=SHOWN)] = SHOWN
) -> Response:
    """The upload, small (WebP, longer side at most `side` pixels)."""
    kept = service.uploads.get(token)
    picture = (
        kept.shown if side == SHOWN else make_thumbnail(kept.shown, side=side, size=None, max_pixels=SHOWN**2)
    )
    return Response(picture, media_type="image/webp", headers={"cache-control": "private, max-age=86400"})
