"""For those who run the service: is it up, how does it fare."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, Request
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel

from featurelens.web.exposition import exposition
from featurelens.web.service import Served
from featurelens.web.shown import problems

router = APIRouter(tags=["operation"])


class Health(BaseModel):
    """The service is up and its gallery can be read."""

    status: Literal["ok"] = "ok"
    version: str


@router.get("/health", responses=problems())
def health(service: Served) -> Health:
    """Whether the service is up; asks for no token, and tells nothing else."""
    from featurelens import __version__

    len(service.gallery)
    return Health(version=__version__)


@router.get(
    "/metrics",
    response_class=PlainTextResponse,
    responses={200: {"content": {"text/plain": {}}}, **problems()},
)
def metrics(service: Served, request: Request) -> PlainTextResponse:
    """Counters and times in Prometheus' text format."""
    state = request.app.state
    text = exposition(service, state.meters, state.current, state.door, state.lane)
    return PlainTextResponse(text, media_type="text/plain; version=0.0.4; charset=utf-8")
