"""Search by images, by more or less like several, by words, and along concepts."""

from __future__ import annotations

import time
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from featurelens.search.words import Words
from featurelens.web.queries import Asked, one_image, vector_of
from featurelens.web.service import Served
from featurelens.web.shown import ID, Box, ShownHit, problems, shown

router = APIRouter(prefix="/api/v1", tags=["search"])
Text = Annotated[str, Field(max_length=4096)]


class Along(BaseModel):
    """A concept that the job `concepts` learned, and how much of it: 1 is as much as there is of the picture."""

    model_config = ConfigDict(extra="forbid")
    number: Annotated[int, Field(ge=0, le=1_000_000)]
    weight: Annotated[float, Field(ge=-100, le=100)] = 1.0


class Search(BaseModel):
    """What to look for: images of the gallery (`ids`), an `upload` or an `image` as a data URI; `less`: unlike these.

    `text` and `less_text` say it in words, alone or beside images (`text_weight`: how much they count then), where the
    gallery's network takes text. `concepts` are searched with, or lead the query: more of some, less of those with a
    negative weight. `box` is a part of the query image [left, top, right, bottom], as fractions of its sides.
    """

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"ids": [1], "k": 10}]})

    ids: Annotated[list[ID], Field(max_length=100)] = []
    less: Annotated[list[ID], Field(max_length=100)] = []
    upload: Annotated[str, Field(max_length=64)] | None = None
    image: str | None = None
    text: Annotated[str, Field(max_length=2000)] | None = None
    less_text: Annotated[str, Field(max_length=2000)] | None = None
    text_weight: Annotated[float, Field(gt=0, le=100)] = 1.0
    concepts: Annotated[list[Along], Field(max_length=100)] = []
    box: Box | None = None
    k: Annotated[int, Field(ge=1, le=5000)] = 60
    min_similarity: Annotated[float, Field(ge=-1, le=1)] | None = None
    path: Text | None = None
    label: Text | None = None
    exact: bool | None = None


class Found(BaseModel):
    """The hits, best first, the milliseconds that it took, and the similarity below which nothing really matches.

    The line holds for queries of one whole image; for all others it is null.
    """

    hits: list[ShownHit]
    took_ms: float
    nothing_matches_below: float | None
    query: dict[str, Any]


@router.post("/search", responses=problems(404, 408, 409, 413, 422), response_model_exclude_unset=True)
def search(service: Served, asked: Search) -> Found:
    """The images of the gallery that are most like the query, by looks, by words or by concepts."""
    started = time.perf_counter()
    words = Words.of(asked.text or None, asked.less_text or None, asked.text_weight)
    along: dict[int, float] = {}
    for one in asked.concepts:
        along[one.number] = along.get(one.number, 0) + one.weight
    query = Asked(asked.ids, asked.less, asked.upload, asked.image, words, along)
    filters = {"min_similarity": asked.min_similarity, "path": asked.path, "label": asked.label}
    if asked.box is not None:
        from featurelens.search import search_region

        left, top, right, bottom = asked.box
        source = one_image(service, query)
        found = search_region(service.gallery, source, (left, top, right, bottom), k=asked.k, **filters)
        hits = [shown(one.hit, box=list(one.box)) for one in found]
    else:
        vector = vector_of(service, query)
        hits = [shown(hit) for hit in service.search(vector, k=asked.k, exact=asked.exact, **filters)]
    return Found(
        hits=hits,
        took_ms=1000 * (time.perf_counter() - started),
        nothing_matches_below=service.calibrated.line() if query.is_plain and asked.box is None else None,
        query=asked.model_dump(exclude_unset=True, exclude={"image"}),
    )
