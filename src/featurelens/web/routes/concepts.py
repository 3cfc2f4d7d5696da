"""The concepts of the gallery: directions that its features are made of, each with the images that have most of it."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel

from featurelens.web.concepts_told import concept_told, exemplar_at, overview
from featurelens.web.lit import lit_picture
from featurelens.web.service import Served
from featurelens.web.shown import ShownHit, problems

router = APIRouter(prefix="/api/v1/concepts", tags=["concepts"])
Number = Annotated[int, Path(ge=0, le=1_000_000)]


class Purity(BaseModel):
    """`count` of the exemplars (`of`) have this label; `chance` is the share that images drawn at random reach."""

    label: str
    count: int
    of: int
    chance: float


class ShownExemplar(BaseModel):
    """An image that fires the concept strongly; `image` is null where it has left the gallery.

    `place` is where it fires most, [row, column] as shares of what the network sees; null for whole images. `picture`
    is the image, lit where the concept fires.
    """

    name: str
    activation: float
    label: str
    place: list[float] | None
    image: ShownHit | None
    picture: str | None


class ShownConcept(BaseModel):
    """A concept: the share of images in which it fires, how strongly there, a name that words suggest."""

    number: int
    name: str | None
    frequency: float
    strength: float
    purity: Purity | None
    exemplars: list[ShownExemplar]


class ShownConcepts(BaseModel):
    """What `featurelens concepts` or the job `concepts` learned last; `made` is null before.

    `searchable`: whether one can search with them here; `strange`: why they are not of this gallery as it is, null where
    they are. `patches`: whether the gallery's network has a map, so that concepts of places can be learned.
    """

    made: str | None
    of: Literal["pooled", "patches"] | None
    backbone: str | None
    images: int
    vectors: int
    active: int
    explained: float
    fired: float
    searchable: bool
    strange: str | None
    patches: bool
    concepts: list[ShownConcept]


class LabelShare(BaseModel):
    """Of `images` with this label the concept fires in `fires`."""

    label: str
    fires: int
    images: int


class OneConcept(ShownConcept):
    """A concept with all of its exemplars, and the labels in whose images it fires or is silent."""

    of: Literal["pooled", "patches"]
    count: int
    searchable: bool
    strange: str | None
    labels: list[LabelShare]


@router.get("", responses=problems(409, 422))
def concepts(service: Served, top: Annotated[int, Query(ge=0, le=100)] = 6) -> ShownConcepts:
    """All concepts, those that fire in most images first, each with `top` exemplars."""
    return ShownConcepts.model_validate(overview(service, top))


@router.get("/{number}", responses=problems(404, 409, 422))
def concept(service: Served, number: Number) -> OneConcept:
    """One concept."""
    return OneConcept.model_validate(concept_told(service, number))


@router.get(
    "/{number}/exemplars/{rank}/picture",
    response_class=Response,
    responses={200: {"content": {"image/webp": {}}}, **problems(404, 409, 422)},
)
def picture(
    service: Served,
    number: Number,
    rank: Number,
    of: Annotated[
        str, Query(max_length=40, description="When they were learned; an address stays good.")
    ] = "",
) -> Response:
    """The exemplar of this rank (from 0), as the network sees it, lit where the concept fires."""
    exemplar, hit = exemplar_at(service, number, rank)
    keep = "private, max-age=31536000, immutable" if of else "no-cache"
    found = lit_picture(exemplar, service.original(hit.id), service.gallery, side=256)
    return Response(found, media_type="image/webp", headers={"cache-control": keep})
