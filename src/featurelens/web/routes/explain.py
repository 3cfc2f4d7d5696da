"""Why two images match, and where in an image the network's answer comes from."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from featurelens.see import similarity, text_similarity
from featurelens.web.explaining import METHODS
from featurelens.web.pictures import data_uri
from featurelens.web.queries import pixels_of, reading_of, source_of
from featurelens.web.service import Served
from featurelens.web.shown import ID, problems

router = APIRouter(prefix="/api/v1", tags=["why"])
Region = Annotated[list[int], Field(min_length=2, max_length=2)]
_LINES = 12


class Side(BaseModel):
    """An image: of the gallery by `id`, or an `upload`."""

    model_config = ConfigDict(extra="forbid")
    id: ID | None = None
    upload: Annotated[str, Field(max_length=64)] | None = None


class Pair(BaseModel):
    """The query, and the image of the gallery that it is compared with."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"query": {"id": 1}, "id": 2}]})
    query: Side
    id: ID


class Map(BaseModel):
    """One value for each region, row by row; `picture` is what the network saw, as a data URI."""

    rows: int
    cols: int
    values: list[float]
    picture: str


class Bond(BaseModel):
    """Region [row, col] of the first image, region of the second; `strength` 1 is the strongest."""

    a: Region
    b: Region
    share: float
    strength: float


class Matched(BaseModel):
    """The similarity split over regions: "split" (exactly), "left out" or "map only" (up to the residual)."""

    similarity: float
    kind: Literal["split", "left out", "map only"]
    residual: Annotated[list[float], Field(min_length=2, max_length=2)]
    a: Map
    b: Map
    lines: list[Bond]


class WordsAndImage(BaseModel):
    """Words, and the image of the gallery that they are compared with."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"text": "a red dress", "id": 2}]}
    )
    text: Annotated[str, Field(min_length=1, max_length=2000)]
    id: ID


class Applied(BaseModel):
    """The cosine of words and image over its regions: "split" (exactly), "left out" or "covered" (up to the residual)."""

    similarity: float
    kind: Literal["split", "left out", "covered"]
    residual: float
    map: Map


class Why(BaseModel):
    """The image to explain; with a `query` its likeness to that, else the class that the network sees."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"query": {"id": 1}, "id": 2, "method": "grad-cam"}]}
    )
    query: Side | None = None
    id: ID
    method: Literal[METHODS]  # pyright: ignore[reportInvalidTypeForm]
    check: bool = False


class Verdict(BaseModel):
    """How far to trust the map: good, with care, do not trust; and why."""

    level: str
    words: str


class Explained(BaseModel):
    """The map at the method's own grid; `picture` is what the network saw, as a data URI."""

    map: dict[str, Any]
    picture: str
    method: str
    target: str
    score: float
    trust: Verdict | None


@router.post("/match", responses=problems(404, 408, 409, 413, 422))
def match(service: Served, pair: Pair) -> Matched:
    """The similarity of two images, split over their regions, and which region answers which."""
    first = source_of(service, pair.query.id, pair.query.upload)
    second = source_of(service, pair.id, None)
    found = similarity(service.gallery.backbone, first, second, **reading_of(service))
    lines = [
        Bond(a=list(line.first), b=list(line.second), share=line.strength, strength=line.strength)
        for line in found.lines(_LINES)
    ]
    return Matched(
        similarity=found.cosine,
        kind=found.kind,
        residual=list(found.residual),
        a=Map(**_grid(found.a), picture=data_uri(found.pixels[0])),
        b=Map(**_grid(found.b), picture=data_uri(found.pixels[1])),
        lines=lines,
    )


@router.post("/match-text", responses=problems(404, 409, 422))
def match_text(service: Served, asked: WordsAndImage) -> Applied:
    """Where in an image words apply, for a gallery whose network takes text."""
    image = source_of(service, asked.id, None)
    found = text_similarity(service.gallery.backbone, image, asked.text, **reading_of(service))
    return Applied(
        similarity=found.cosine,
        kind=found.kind,
        residual=found.residual,
        map=Map(**_grid(found.values), picture=data_uri(found.pixels)),
    )


@router.post("/explain", responses=problems(404, 408, 409, 413, 422, 501))
def explain(service: Served, why: Why) -> Explained:
    """Where in an image the network's answer comes from; `check` says how far to trust the map (takes longer)."""
    image = source_of(service, why.id, None)
    query = None if why.query is None else source_of(service, why.query.id, why.query.upload)

    def work(network: Any) -> Any:
        from featurelens.see.explanation import explain as explain_image
        from featurelens.see.targets import likeness

        goal = None
        if query is not None:
            goal = likeness(network, pixels_of(service, query), name="the query")
        reading = reading_of(service)
        return explain_image(network, image, method=why.method, target=goal, check=why.check, **reading)

    found = service.lab.use(("explain", why.model_dump_json()), work)
    return Explained(
        map=_grid(found.values),
        picture=data_uri(found.pixels),
        method=found.method,
        target=found.target,
        score=found.score,
        trust=None if found.trust is None else Verdict(level=found.trust.level, words=found.trust.words),
    )


def _grid(values: np.ndarray) -> dict[str, Any]:
    rows, cols = values.shape
    return {"rows": rows, "cols": cols, "values": [float(f"{value:.5g}") for value in values.ravel()]}
