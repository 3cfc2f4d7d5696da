"""The gallery and its images."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, Field

from featurelens.web.originals import open_original
from featurelens.web.service import Served
from featurelens.web.shown import ID, ShownHit, problems, readable, shown

router = APIRouter(prefix="/api/v1", tags=["gallery"])
One = Annotated[int, Path(ge=0, le=2**63 - 1)]
Text = Annotated[str | None, Query(max_length=4096)]
SIDES = (64, 96, 128, 192, 256, 384, 512, 768, 1024)
_KEEP = {"cache-control": "private, max-age=31536000, immutable"}  # an id never changes its content


class Page(BaseModel):
    """A stretch of the gallery, by name; `total` counts all that pass the filters."""

    total: int
    images: list[ShownHit]


class Ids(BaseModel):
    """Images by id."""

    ids: Annotated[list[ID], Field(max_length=5000)]


class Images(BaseModel):
    """Images in the order asked for; those that are gone are left out."""

    images: list[ShownHit]


class SkippedFile(BaseModel):
    """A file that gave no vector, and why."""

    name: str
    reason: str


class Skipped(BaseModel):
    """Every file of the folder that is not in the gallery."""

    skipped: list[SkippedFile]


@router.get("/gallery", responses=problems())
def gallery(service: Served) -> dict[str, Any]:
    """What is served: how many images, from which network, under which labels and folders."""
    opened = service.gallery
    indexing = service.jobs.running("index")
    listed = opened.images()
    fit = opened.spec.fit
    return {
        "name": readable(opened.images_folder.name),
        "images": len(listed),
        "skipped": len(opened.skipped()),
        "backbone": opened.spec.name,
        "dim": opened.spec.dim,
        "fit": {"rows": fit.rows, "cols": fit.cols, "mode": fit.mode},
        "labels": sorted({hit.label for hit in listed if hit.label is not None}),
        "folders": sorted({readable(hit.name.rpartition("/")[0]) for hit in listed} - {""}),
        "nothing_matches_below": None,
        "extras": {"lab": False},
        "methods": [],
        "indexing": indexing.to_json() if indexing else None,
    }


@router.get("/images", responses=problems(422))
def images(
    service: Served,
    offset: Annotated[int, Query(ge=0, le=2**31)] = 0,
    limit: Annotated[int, Query(ge=1, le=5000)] = 200,
    label: Text = None,
    path: Text = None,
    ids: Annotated[str | None, Query(pattern=r"^\d{1,18}(,\d{1,18})*$", max_length=20_000)] = None,
) -> Page:
    """The gallery at rest, by name; or the images of some `ids`, given with commas between them."""
    listed = service.gallery.images()
    if ids is not None:
        wanted = {hit.id: hit for hit in listed}
        listed = [wanted[one] for one in map(int, ids.split(",")) if one in wanted]
    if label is not None:
        listed = [hit for hit in listed if hit.label == label]
    if path is not None:
        listed = [hit for hit in listed if hit.name.startswith(path.strip("/") + "/")]
    some = listed[offset : offset + limit]
    return Page.model_construct(total=len(listed), images=[shown(hit) for hit in some])  # pyright: ignore[reportArgumentType]


@router.post("/images", responses=problems(408, 413, 422))
def by_ids(service: Served, asked: Ids) -> Images:
    """Images by their ids, for lists that are too long for an address."""
    wanted = {hit.id: hit for hit in service.gallery.images()}
    return Images.model_construct(images=[shown(wanted[one]) for one in asked.ids if one in wanted])  # pyright: ignore[reportArgumentType]


@router.get("/images/{id}", responses=problems(404, 422))
def image(service: Served, id: One) -> ShownHit:
    """One image."""
    return ShownHit.model_construct(**shown(service.gallery.image(id)))


@router.get(
    "/images/{id}/thumbnail",
    response_class=Response,
    responses={200: {"content": {"image/webp": {}}}, **problems(404, 422)},
)
def thumbnail(service: Served, id: One, side: Annotated[int, Query(ge=1, le=1024)] = 256) -> Response:
    """A small WebP whose longer side has the next of a few fixed lengths at or above `side`."""
    length = next(length for length in SIDES if length >= side)
    picture = service.gallery.thumbnail(id, side=length)
    return Response(picture, media_type="image/webp", headers=_KEEP)


@router.get(
    "/images/{id}/file",
    response_class=Response,
    responses={200: {"content": {"image/*": {}}}, 304: {"description": "Not changed."}, **problems(404, 422)},
)
def file(service: Served, request: Request, id: One) -> Response:
    """The original file, if it is an image that browsers may show."""
    return open_original(service.gallery.image(id), service.gallery.images_folder, request.headers)


@router.get("/skipped", responses=problems())
def skipped(service: Served) -> Skipped:
    """Every file that could not be indexed, with its reason."""
    listed = [SkippedFile(name=readable(name), reason=reason) for name, reason in service.gallery.skipped()]
    return Skipped(skipped=listed)
