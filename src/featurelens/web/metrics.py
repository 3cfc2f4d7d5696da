"""What the service counts, how long it takes, and a line in the log for each request."""

from __future__ import annotations

import logging
import re
import secrets
import time
from collections import Counter
from collections.abc import Callable
from threading import Lock

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from featurelens.web.histogram import Histogram
from featurelens.web.rates import client_of
from featurelens.web.spans import trace_id

Key = tuple[str, str, str]
Count = Callable[[str, str, int, float], None]
_METHODS = {"GET", "HEAD", "POST", "DELETE", "OPTIONS", "PUT", "PATCH"}
_COUNTED = "featurelens.counted"
_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_access = logging.getLogger("featurelens.access")


class Meters:
    """Requests by method, route and status, and how long they took by route (until the headers were sent)."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.requests: Counter[Key] = Counter()
        self.seconds: dict[str, Histogram] = {}

    def add(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one request."""
        with self.lock:
            self.requests[method, route, str(status)] += 1
            took = self.seconds.setdefault(route, Histogram())
        took.add(seconds)


class Metered:
    """ASGI middleware that counts, names each request (X-Request-ID, the client's own if it has one) and logs it.

    `count` gets method, route, status and seconds. A request that passes through two of them is counted by the first.
    """

    def __init__(self, app: ASGIApp, *, count: Count, known: frozenset[str]) -> None:
        self._app, self._count, self._known = app, count, known

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope.get(_COUNTED):
            await self._app(scope, receive, send)
            return
        scope[_COUNTED] = True
        started, status, seconds, sent = time.perf_counter(), 500, 0.0, 0
        name = Headers(scope=scope).get("x-request-id", "")
        name = name if _ID.fullmatch(name) else secrets.token_hex(8)

        async def sending(message: Message) -> None:
            nonlocal status, seconds, sent
            if message["type"] == "http.response.start":
                status, seconds = message["status"], time.perf_counter() - started
                MutableHeaders(scope=message)["x-request-id"] = name
            else:
                sent += len(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, receive, sending)
        finally:
            method = scope["method"] if scope["method"] in _METHODS else "other"
            route = self._route(scope)
            self._count(method, route, status, seconds or time.perf_counter() - started)
            if _access.isEnabledFor(logging.INFO):
                whole = time.perf_counter() - started
                about = {"id": name, "client": client_of(scope), "method": method, "path": scope["path"]}
                about |= {"route": route, "status": status, "ms": round(1000 * whole, 2), "bytes": sent}
                if trace := trace_id():
                    about["trace"] = trace
                _access.info("%s %s %d", method, scope["path"], status, extra={"fields": about})

    def _route(self, scope: Scope) -> str:
        """The route by its pattern; for one that was refused before it was looked for, by its path."""
        found = getattr(scope.get("route"), "path", None)
        return found or (scope["path"] if scope["path"] in self._known else "other")
