"""Errors as RFC 9457 problems; under `/v1` in OpenAI's envelope. No text names a path of the server."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse

from featurelens.errors import (
    BackboneError,
    FeaturelensError,
    GalleryBusy,
    GalleryError,
    MissingExtra,
    ReadError,
    SoundError,
    SpecMismatch,
)

if TYPE_CHECKING:
    from fastapi import FastAPI

SERVICE = "featurelens.service"  # in a request's scope: what answers it, also while another takes over
_log = logging.getLogger("featurelens.web")
_STATUS: tuple[tuple[type[FeaturelensError], int], ...] = (
    (ReadError, 422),
    (GalleryBusy, 409),
    (GalleryError, 503),
    (SpecMismatch, 409),
    (BackboneError, 409),
    (MissingExtra, 501),
)
_ABSOLUTE = re.compile(r"(?<![\w.:/])(?:/|[A-Za-z]:\\)[^\s'\",;()]+")


class Problem(HTTPException):
    """Ends a request with this status and these words; `more` are further fields of the problem."""

    def __init__(self, status: int, detail: str, *, retry_s: int | None = None, **more: Any) -> None:
        super().__init__(status, detail, None if retry_s is None else {"Retry-After": str(retry_s)})
        self.status, self.more, self.retry_s = status, more, retry_s


def not_found(detail: str) -> Problem:
    """404: there is nothing of this id, token or name."""
    return Problem(404, detail)


def busy(why: str, seconds: float = 1, *, status: int = 429) -> Problem:
    """429, or what else means "not now": `why`, and in how many seconds to try again (Retry-After)."""
    wait = max(1, min(60, round(seconds)))
    return Problem(status, f"{why}; try again in {wait} s.", retry_s=wait)


def problem_of(error: FeaturelensError) -> Problem:
    """An error of the library as a problem: wrong input 422, a busy gallery 409, a missing extra 501."""
    status = next((status for kind, status in _STATUS if isinstance(error, kind)), 422)
    if isinstance(error, ReadError):
        what = "sound" if isinstance(error, SoundError) else "image"
        return Problem(status, f"The {what} cannot be used: {error.reason}.")
    more: dict[str, Any] = {"extra": error.extra} if isinstance(error, MissingExtra) else {}
    return Problem(status, str(error), **more)


def answer(path: str, problem: Problem) -> JSONResponse:
    """The problem in the shape that callers of this path expect."""
    if path.startswith("/v1/"):
        status = 400 if problem.status == 422 else problem.status  # as OpenAI has it
        kind = "invalid_request_error" if problem.status < 500 else "server_error"
        kind = "authentication_error" if problem.status == 401 else kind
        code = "rate_limit_exceeded" if problem.status == 429 else None
        error = {"message": problem.detail, "type": kind, "param": None, "code": code, **problem.more}
        return JSONResponse({"error": error}, status, headers=problem.headers)
    title = HTTPStatus(problem.status).phrase
    body = {"type": "about:blank", "title": title, "status": problem.status, "detail": problem.detail}
    return JSONResponse(
        {**body, **problem.more}, problem.status, problem.headers, media_type="application/problem+json"
    )


def discreet(text: str, hidden: Iterable[Path]) -> str:
    """The text without the server's folders, for clients that sit elsewhere.

    >>> discreet("There is no folder /home/ann/Photos. Look in /mnt/x.", [])
    'There is no folder […]. Look in […].'
    """
    for folder in hidden:
        text = text.replace(str(folder), "[…]")
    return _ABSOLUTE.sub(lambda found: "[…]" + ("." if found.group().endswith(".") else ""), text)


def add_handlers(app: FastAPI) -> None:
    """Let every error of this app end as a problem."""
    from fastapi.exceptions import RequestValidationError

    def told(request: Request, problem: Problem) -> JSONResponse:
        words = request.scope[SERVICE].told(request, problem.detail)
        return answer(
            request.url.path, Problem(problem.status, words, retry_s=problem.retry_s, **problem.more)
        )

    @app.exception_handler(Problem)
    async def _(request: Request, error: Problem) -> JSONResponse:
        return told(request, error)

    @app.exception_handler(FeaturelensError)
    async def _(request: Request, error: FeaturelensError) -> JSONResponse:
        return told(request, problem_of(error))

    @app.exception_handler(RequestValidationError)
    async def _(request: Request, error: RequestValidationError) -> JSONResponse:
        errors = [{"where": list(one["loc"]), "what": one["msg"]} for one in error.errors()]
        words = "; ".join(f"{'.'.join(map(str, one['where']))}: {one['what']}" for one in errors[:3])
        return answer(request.url.path, Problem(422, words, errors=errors))

    @app.exception_handler(HTTPException)
    async def _(request: Request, error: HTTPException) -> JSONResponse:
        words = str(error.detail)
        if error.status_code == 405 and error.headers:
            words = f"{request.method} is not possible at this address; {error.headers['Allow']} is."
        found = answer(request.url.path, Problem(error.status_code, words))
        found.headers.update(error.headers or {})
        return found

    @app.exception_handler(Exception)
    async def _(request: Request, error: Exception) -> JSONResponse:
        _log.error("%s %s failed", request.method, request.url.path, exc_info=error)
        return answer(request.url.path, Problem(500, "The server failed at this; its own log says why."))
