"""Long work: start it, watch it, cancel it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

from anyio import sleep
from fastapi import APIRouter, Path, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict

from featurelens.web.jobs import Job
from featurelens.web.problems import Problem
from featurelens.web.service import Served, Service
from featurelens.web.shown import problems
from featurelens.web.work import WORK, check_extra

router = APIRouter(prefix="/api/v1/jobs", tags=["jobs"])
_LOOK_S, _ALIVE_S = 0.1, 10.0
One = Annotated[str, Path(max_length=64)]


class Wanted(BaseModel):
    """Which work to start. `of` is for concepts: what whole images are about ("pooled", without it), or "patches"."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"kind": "index"}, {"kind": "concepts", "of": "patches"}]},
    )
    kind: Literal["index", "assess", "layout", "duplicates", "units", "concepts"]
    of: Literal["pooled", "patches"] | None = None


class ShownJob(BaseModel):
    """A job: its state is queued, running, done, failed or cancelled."""

    id: str
    kind: str
    state: str
    done: int
    total: int | None
    rate: float | None
    left_s: float | None
    message: str | None
    result: dict[str, Any] | None
    started: str


class ShownJobs(BaseModel):
    """Newest first."""

    jobs: list[ShownJob]


@router.get("", responses=problems())
def listed(service: Served, request: Request) -> ShownJobs:
    """The jobs of this server, newest first."""
    return ShownJobs(jobs=[_shown(service, request, job) for job in service.jobs.all()])


@router.post(
    "",
    status_code=202,
    responses={200: {"model": ShownJob, "description": "It runs already."}, **problems(408, 413, 422, 501)},
)
def start(service: Served, request: Request, wanted: Wanted, response: Response) -> ShownJob:
    """Start a job, or get the one of this kind that runs already. A job that was stopped goes on where it was."""
    check_extra(wanted.kind)
    if wanted.of is not None and wanted.kind != "concepts":
        raise Problem(422, f"`of` is for the kind 'concepts' alone, not for '{wanted.kind}'; leave it out.")
    work, options = WORK[wanted.kind], {"of": wanted.of} if wanted.of else {}
    job, new = service.jobs.start(wanted.kind, lambda report: work(service, report, **options))
    if not new:
        response.status_code = 200
    return _shown(service, request, job)


@router.get("/{id}", responses=problems(404, 422))
def one(service: Served, request: Request, id: One) -> ShownJob:
    """One job."""
    return _shown(service, request, service.jobs.get(id))


@router.delete("/{id}", status_code=202, responses=problems(404, 422))
def cancel(service: Served, request: Request, id: One) -> ShownJob:
    """Stop a job after its present step; what it has finished stays."""
    return _shown(service, request, service.jobs.cancel(id))


@router.get(
    "/{id}/events",
    response_class=Response,
    responses={200: {"content": {"text/event-stream": {}}}, **problems(404, 422)},
)
def events(service: Served, request: Request, id: One) -> StreamingResponse:
    """The job as server-sent events, one for each change (at most ten a second); ends after the last."""
    job = service.jobs.get(id)

    async def stream() -> AsyncIterator[str]:
        turn, silent = -1, 0.0
        while True:
            running = job.running
            if job.turn != turn:
                turn, silent = job.turn, 0.0
                yield f"data: {_shown(service, request, job).model_dump_json()}\n\n"
            elif silent >= _ALIVE_S:
                silent = 0.0
                yield ": still there\n\n"
            if not running:
                return
            await sleep(_LOOK_S)
            silent += _LOOK_S

    return StreamingResponse(stream(), media_type="text/event-stream", headers={"cache-control": "no-store"})


def _shown(service: Service, request: Request, job: Job) -> ShownJob:
    found = job.to_json()
    return ShownJob(**{**found, "message": found["message"] and service.told(request, found["message"])})
