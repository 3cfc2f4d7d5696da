"""How good the features are for this gallery: the report of `assess`."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response
from pydantic import BaseModel

from featurelens.web.problems import not_found
from featurelens.web.reporting import quality_of
from featurelens.web.service import Served
from featurelens.web.shown import problems

router = APIRouter(prefix="/api/v1", tags=["quality"])
_OWN_STYLE = {
    "content-security-policy": (
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'self'; sandbox allow-popups"
    ),
    "x-frame-options": "SAMEORIGIN",
}


class Score(BaseModel):
    """A measure with its interval and what chance would give; `undefined` says why there is no value."""

    name: str
    value: float | None
    low: float | None
    high: float | None
    chance: float | None
    n: int
    better: str
    words: str
    undefined: str | None


class Finding(BaseModel):
    """Something to look at: images under a wrong label, one image under two labels, copies."""

    kind: str
    words: str
    images: list[dict[str, Any]]


class Quality(BaseModel):
    """What the job `assess` found last; `made` is null before it ran."""

    made: str | None
    report: str | None
    answer: str | None
    scores: list[Score]
    findings: list[Finding]


@router.get("/quality", responses=problems())
def quality(service: Served) -> Quality:
    """The scores and findings of the last assessment of this gallery."""
    return Quality(**quality_of(service))


@router.get(
    "/quality/report",
    response_class=Response,
    responses={200: {"content": {"text/html": {}}}, **problems(404)},
)
def report(service: Served) -> Response:
    """The whole report as one page, without script."""
    try:
        page = (service.results.folder / "assess" / "report.html").read_bytes()
    except OSError:
        raise not_found("No report was made yet; start the job 'assess'.") from None
    return Response(page, media_type="text/html; charset=utf-8", headers=_OWN_STYLE)
