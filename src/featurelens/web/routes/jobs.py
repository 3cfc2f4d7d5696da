"""Long work: start it, watch it, cancel it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

from anyio import to_thread
from fastapi import APIRouter, Path, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict

from featurelens.web.service import Served
from featurelens.web.shown import problems
from featurelens.web.work import WORK, check_extra

router = APIRouter(prefix="/api/v1/jobs", tags=["jobs"])
One = Annotated[str, Path(max_length=64)]


class Wanted(BaseModel):
    """Which work to start."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"kind": "index"}]})
    kind: Literal["index", "assess", "layout", "duplicates", "units"]


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
def listed(service: Served) -> ShownJobs:
    """The jobs of this server, newest first."""
    return ShownJobs(jobs=[ShownJob(**job.to_json()) for job in service.jobs.all()])


@router.post(
    "",
    status_code=202,
    responses={200: {"model": ShownJob, "description": "It runs already."}, **problems(408, 413, 422, 501)},
)
def start(service: Served, wanted: Wanted, response: Response) -> ShownJob:
    """Start a job, or get the one of this kind that runs already. A job that was stopped goes on where it was."""
    check_extra(wanted.kind)
    work = WORK[wanted.kind]
    job, new = service.jobs.start(wanted.kind, lambda report: work(service, report))
    if not new:
        response.status_code = 200
    return ShownJob(**job.to_json())


@router.get("/{id}", responses=problems(404, 422))
def one(service: Served, id: One) -> ShownJob:
    """One job."""
    return ShownJob(**service.jobs.get(id).to_json())


@router.delete("/{id}", status_code=202, responses=problems(404, 422))
def cancel(service: Served, id: One) -> ShownJob:
    """Stop a job after its present step; what it has finished stays."""
    return ShownJob(**service.jobs.cancel(id).to_json())


@router.get(
    "/{id}/events",
    response_class=Response,
    responses={200: {"content": {"text/event-stream": {}}}, **problems(404, 422)},
)
def events(service: Served, id: One) -> StreamingResponse:
    """The job as server-sent events, one for each change (at most ten a second); ends after the last."""
    job = service.jobs.get(id)

    async def stream() -> AsyncIterator[str]:
        turn = -1
        while True:
            news = await to_thread.run_sync(service.jobs.wait, job, turn, 10.0)
            running, turn = job.running, job.turn
            yield f"data: {json.dumps(job.to_json())}\n\n" if news else ": still there\n\n"
            if not running:
                return
            await _pause()

    return StreamingResponse(stream(), media_type="text/event-stream", headers={"cache-control": "no-store"})


async def _pause() -> None:
    from anyio import sleep

    await sleep(0.1)
