"""Errors as RFC 9457 problems; under `/v1` in OpenAI's envelope. No text names a path of the server."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from http import HTTPStatus
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from featurelens.errors import (
    BackboneError,
    FeaturelensError,
    GalleryBusy,
    GalleryError,
    ImageError,
    MissingExtra,
    SpecMismatch,
)

_log = logging.getLogger("featurelens.web")
_STATUS: tuple[tuple[type[FeaturelensError], int], ...] = (
    (ImageError, 422),
    (GalleryBusy, 409),
    (GalleryError, 503),
    (SpecMismatch, 409),
    (BackboneError, 409),
    (MissingExtra, 501),
)
_ABSOLUTE = re.compile(r"(?<![\w.:/])(?:/|[A-Za-z]:\\)[^\s'\",;()]+")


class Problem(HTTPException):
    """Ends a request with this status and these words; `more` are further fields of the problem."""

    def __init__(self, status: int, detail: str, **more: Any) -> None:
        super().__init__(status, detail)
        self.status, self.more = status, more


def not_found(detail: str) -> Problem:
    """404: there is nothing of this id, token or name."""
    return Problem(404, detail)


def problem_of(error: FeaturelensError) -> Problem:
    """An error of the library as a problem: wrong input 422, a busy gallery 409, a missing extra 501."""
    status = next((status for kind, status in _STATUS if isinstance(error, kind)), 422)
    if isinstance(error, ImageError):
        return Problem(status, f"The image cannot be used: {error.reason}.")
    more = {"extra": error.extra} if isinstance(error, MissingExtra) else {}
    return Problem(status, str(error), **more)


def answer(path: str, problem: Problem) -> JSONResponse:
    """The problem in the shape that callers of this path expect."""
    if path.startswith("/v1/"):
        status = 400 if problem.status == 422 else problem.status  # as OpenAI has it
        kind = "invalid_request_error" if problem.status < 500 else "server_error"
        kind = "authentication_error" if problem.status == 401 else kind
        error = {"message": problem.detail, "type": kind, "param": None, "code": None, **problem.more}
        return JSONResponse({"error": error}, status)
    title = HTTPStatus(problem.status).phrase
    body = {"type": "about:blank", "title": title, "status": problem.status, "detail": problem.detail}
    return JSONResponse({**body, **problem.more}, problem.status, media_type="application/problem+json")


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

    def told(request: Request, problem: Problem) -> JSONResponse:
        words = request.app.state.service.told(request, problem.detail)
        return answer(request.url.path, Problem(problem.status, words, **problem.more))

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
        found = answer(request.url.path, Problem(error.status_code, str(error.detail)))
        found.headers.update(error.headers or {})
        return found

    @app.exception_handler(Exception)
    async def _(request: Request, error: Exception) -> JSONResponse:
        _log.error("%s %s failed", request.method, request.url.path, exc_info=error)
        return answer(request.url.path, Problem(500, "The server failed at this; its own log says why."))
