"""The map of the whole gallery."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter
from fastapi.responses import Response
from pydantic import BaseModel

from featurelens.web.service import Served
from featurelens.web.shown import problems

router = APIRouter(prefix="/api/v1", tags=["map"])


class ShownLayout(BaseModel):
    """Places between -1 and 1, in the order of `ids`; `ready`: the better layout (by neighbours) is there.

    `missing` counts images that came after the layout was made; the job `layout` makes it anew.
    """

    method: Literal["pca", "opentsne"]
    ready: bool
    missing: int
    ids: list[int]
    x: list[float]
    y: list[float]
    label: list[str | None]
    cluster: list[int]


@router.get("/layout", response_model=ShownLayout, responses=problems(422, 501))
def layout(service: Served, method: Literal["pca", "opentsne"] | None = None) -> Response:
    """The best layout there is, or the one asked for (`opentsne` only once the job `layout` has run)."""
    return Response(service.maps.as_json(method), media_type="application/json")
