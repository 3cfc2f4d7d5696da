"""The gate behind the guard: how many are inside, who waits for the engine, how long at most, and the way out at the end."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from featurelens.web.current import Current
from featurelens.web.lane import Lane, Place, too_much
from featurelens.web.limits import Limits
from featurelens.web.problems import SERVICE, Problem, answer, busy

ENGINE = frozenset(
    {"/v1/embeddings", "/api/v1/search", "/api/v1/uploads", "/api/v1/match", "/api/v1/match-text"}
)


@dataclass
class Door:
    """How many requests are inside; `closing` lets no more in."""

    inside: int = 0
    closing: bool = False


class Gate:
    """ASGI middleware: counts, refuses (429, at the end 503), gives up what takes too long (504), lends the service."""

    def __init__(self, app: ASGIApp, *, current: Current, door: Door, lane: Lane, limits: Limits) -> None:
        self._app, self._current, self._door, self._lane, self._limits = app, current, door, lane, limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        turn = _Turn(self._lane if _to_engine(scope) else None, receive, send)
        try:
            self._check(turn)
        except Problem as problem:
            refused = answer(scope["path"], problem)
            if self._door.closing:
                refused.headers["connection"] = "close"
            await refused(scope, receive, send)
            return
        late = asyncio.get_running_loop().call_later(
            self._limits.answer_s, turn.give_up, scope, self._limits.answer_s
        )
        service = scope[SERVICE] = self._current.borrow()
        self._door.inside += 1
        try:
            await self._app(scope, turn.receive, turn.send)
        finally:
            late.cancel()
            self._door.inside -= 1
            turn.leave()
            self._current.give_back(service)

    def _check(self, turn: _Turn) -> None:
        if self._door.closing:
            raise busy("The service is ending", status=503)
        if self._door.inside >= self._limits.at_once:
            raise too_much()
        if turn.lane is not None:
            turn.lane.look()  # before its body is read


class _Turn:
    """One request: takes its place in the lane when it has been read, and says once at most that it was given up."""

    def __init__(self, lane: Lane | None, receive: Receive, send: Send) -> None:
        self.lane, self._receive, self._send = lane, receive, send
        self._place: Place | None = None
        self._begun = self._given_up = False
        self._telling: asyncio.Task[None] | None = None

    async def receive(self) -> Message:
        message = await self._receive()
        read = message["type"] == "http.request" and not message.get("more_body", False)
        if read and self.lane is not None and self._place is None:
            self._place = self.lane.enter()
        return message

    async def send(self, message: Message) -> None:
        if not self._given_up:
            self._begun = True
            await self._send(message)

    def give_up(self, scope: Scope, seconds: float) -> None:
        """Tell the client; what still works for it ends by itself, and counts as inside until then."""
        if not self._begun:
            self._given_up = True
            problem = Problem(504, f"This took more than {seconds:g} s and was given up.")
            said = answer(scope["path"], problem)(scope, self._receive, self._send)
            self._telling = asyncio.ensure_future(said)  # type: ignore[arg-type]

    def leave(self) -> None:
        if self._place is not None and self.lane is not None:
            self.lane.leave(self._place)
            self._place = None


def _to_engine(scope: Scope) -> bool:
    return scope["method"] == "POST" and scope["path"] in ENGINE
