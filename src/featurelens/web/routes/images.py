"""The gallery and its images."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from featurelens.web.explaining import lab_is_there, methods_of
from featurelens.web.originals import PLAYABLE, SHOWABLE, open_original
from featurelens.web.service import Served
from featurelens.web.shown import ID, ShownHit, model_name, problems, readable, shown, stamp

router = APIRouter(prefix="/api/v1", tags=["gallery"])
One = Annotated[int, Path(ge=0, le=2**63 - 1)]
Text = Annotated[str | None, Query(max_length=4096)]
SIDES = (64, 96, 128, 192, 256, 384, 512, 768, 1024)
_KEEP = {"cache-control": "private, max-age=31536000, immutable"}  # an id never changes its content
_KEEP_SHORTLY = {"cache-control": "private, max-age=300"}  # but another gallery may be served here tomorrow


class ShownGallery(BaseModel):
    """The gallery; `fit` is how its network takes images, `methods` the explanations that run here.

    `things`: what it holds ("images", "sounds" or "files"), and `images` how many of them.
    `text`: whether it can be searched by words; `concepts`: whether some were learned; `layers`: whether images can be
    followed through the layers; `extras`: which of them are installed.
    """

    name: str
    things: str = "images"
    images: int
    skipped: int
    backbone: str
    dim: int
    fit: dict[str, int | str]
    labels: list[str]
    folders: list[str]
    nothing_matches_below: float | None
    extras: dict[str, bool]
    methods: list[str]
    text: bool
    concepts: bool
    layers: bool
    indexing: dict[str, Any] | None


class Page(BaseModel):
    """A stretch of the gallery, by name; `total` counts all that pass the filters."""

    total: int
    images: list[ShownHit]


class Ids(BaseModel):
    """Images by id."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"ids": [1, 2]}]})
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
def gallery(service: Served) -> ShownGallery:
    """What is served: how many images, from which network, under which labels and folders."""
    opened, contents = service.gallery, service.listing.contents
    indexing, fit = service.jobs.running("index"), opened.spec.fit
    return ShownGallery(
        name=readable(opened.images_folder.name),
        things=opened.spec.things,
        images=len(opened),
        skipped=contents.skipped,
        backbone=model_name(opened.spec.name),
        dim=opened.spec.dim,
        fit={"rows": fit.rows, "cols": fit.cols, "mode": fit.mode},
        labels=list(contents.labels),
        folders=[readable(folder) for folder in contents.folders],
        nothing_matches_below=service.calibrated.line(),
        extras={"lab": lab_is_there(), "maps": find_spec("openTSNE") is not None},
        methods=methods_of(service),
        text=opened.spec.text,
        concepts=service.concepts.stamp is not None,
        layers=lab_is_there() and bool(methods_of(service) or opened.spec.map_channels),
        indexing=indexing.to_json() if indexing else None,
    )


@router.get("/images", responses=problems(422), response_model_exclude_unset=True)
def images(
    service: Served,
    offset: Annotated[int, Query(ge=0, le=2**31)] = 0,
    limit: Annotated[int, Query(ge=1, le=5000)] = 200,
    label: Text = None,
    path: Text = None,
    ids: Annotated[str | None, Query(pattern=r"^[0-9]{1,18}(,[0-9]{1,18})*$", max_length=20_000)] = None,
) -> Page:
    """The gallery at rest, by name; or the images of some `ids`, given with commas between them."""
    if ids is not None:
        found = service.listing.hits([int(one) for one in ids.split(",")])
        total, some = len(found), found[offset : offset + limit]
    else:
        total, some = service.listing.page(offset, limit, path=path, label=label)
    return Page(total=total, images=[shown(hit) for hit in some])


@router.post("/images", responses=problems(408, 413, 422), response_model_exclude_unset=True)
def by_ids(service: Served, asked: Ids) -> Images:
    """Images by their ids, for lists that are too long for an address."""
    return Images(images=[shown(hit) for hit in service.listing.hits(asked.ids)])


@router.get("/images/{id}", responses=problems(404, 422), response_model_exclude_unset=True)
def image(service: Served, id: One) -> ShownHit:
    """One image."""
    return shown(service.image(id))


@router.get(
    "/images/{id}/thumbnail",
    response_class=Response,
    responses={200: {"content": {"image/webp": {}}}, **problems(404, 422)},
)
def thumbnail(
    service: Served,
    id: One,
    side: Annotated[int, Query(ge=1, le=1024)] = 256,
    of: Annotated[str | None, Query(max_length=16)] = None,
) -> Response:
    """A small WebP whose longer side has the next of a few fixed lengths at or above `side`.

    With `of`, as addresses in answers have it, clients may keep it for good.
    """
    length = next(length for length in SIDES if length >= side)
    hit = service.original(id)
    picture = service.gallery.thumbnail(hit, side=length)
    keep = _KEEP if of == stamp(hit) else _KEEP_SHORTLY
    return Response(picture, media_type="image/webp", headers=keep)


@router.get(
    "/images/{id}/file",
    response_class=Response,
    responses={
        200: {"content": {kind: {} for kind in [*SHOWABLE.values(), *PLAYABLE.values()]}},
        304: {"description": "Not changed."},
        **problems(404, 422),
    },
)
def file(service: Served, request: Request, id: One) -> Response:
    """The original file, if it is an image or a sound that browsers may show or play."""
    return open_original(service.original(id), request.headers)


@router.get("/skipped", responses=problems())
def skipped(service: Served) -> Skipped:
    """Every file that could not be indexed, with its reason."""
    listed = [SkippedFile(name=readable(name), reason=reason) for name, reason in service.gallery.skipped()]
    return Skipped(skipped=listed)
