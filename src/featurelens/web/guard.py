"""Who may speak to the service: the host asked for, the page that asks, the token, the size and time of a body.

A page of another site can make a browser send requests to 127.0.0.1 (CSRF), and by DNS rebinding even read
the answers; the checks of Host, Origin and Sec-Fetch-Site shut both out.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Collection
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, urlencode, urlsplit

from starlette.datastructures import Headers
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from featurelens.web.limits import Limits
from featurelens.web.problems import Problem, answer, busy
from featurelens.web.tokens import Tokens

LOCAL = frozenset({"127.0.0.1", "localhost", "::1"})
COOKIE = "featurelens_token"
_SAFE = {"GET", "HEAD", "OPTIONS"}
_OPEN = {"/health"}


class Guard:
    """ASGI middleware around the app, but inside of what counts and limits requests, for these also see the refused.

    `hosts` are the names under which it may be asked for. With `tokens` every address counts as a name,
    for then a stranger lacks the token.
    """

    def __init__(
        self, app: ASGIApp, *, tokens: Tokens, hosts: Collection[str] = (), limits: Limits | None = None
    ) -> None:
        self._app, self._limits, self._tokens = app, limits or Limits(), tokens
        self._held = _Held()
        self._hosts = LOCAL | {host.lower() for host in hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return

        started = False

        async def sending(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        early = self._refused(scope)
        if early is not None:
            await early(scope, receive, send)
            return
        body = _Body(receive, self._limits, self._held)
        try:
            await self._app(scope, body, sending)
        except Problem as problem:  # the body was too long or too slow
            if started:
                raise
            await answer(scope["path"], problem)(scope, receive, send)
        finally:
            self._held.bytes -= body.read

    def _refused(self, scope: Scope) -> Response | None:
        headers, path = Headers(scope=scope), scope["path"]
        try:
            self._check_host(headers)
            self._check_origin(headers, scope)
            self._check_length(headers)
        except Problem as problem:
            return answer(path, problem)
        if not self._tokens or path in _OPEN:
            return None
        query = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        cookie = (
            self._tokens.cookie(query.pop("token", [""])[0].encode()) if scope["method"] == "GET" else None
        )
        if cookie is not None:
            return _let_in(path, urlencode(query, doseq=True), cookie, secure=scope["scheme"] == "https")
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and self._tokens.right(given.strip().encode("latin-1")):
            return None
        if self._tokens.right_cookie(_cookie(headers).encode()):
            return None
        problem = Problem(401, "This service wants its token: send 'Authorization: Bearer TOKEN'.")
        refused = answer(path, problem)
        refused.headers["www-authenticate"] = "Bearer"
        return refused

    def _check_host(self, headers: Headers) -> None:
        name = _host_name(headers.get("host", ""))
        if name in self._hosts or (self._tokens and _is_address(name)):
            return
        raise Problem(
            403, "This host name is not one of this service. Start it with --allow-host NAME to let it in."
        )

    def _check_origin(self, headers: Headers, scope: Scope) -> None:
        """Only pages of this service may send anything, and only they may use its data."""
        origin, site = headers.get("origin"), headers.get("sec-fetch-site", "none")
        own = f"{scope['scheme']}://{headers.get('host', '')}".lower()
        if origin is not None and origin.lower() != own:
            raise Problem(403, "This request comes from a page of another site and is refused.")
        navigates = scope["method"] in _SAFE and headers.get("sec-fetch-mode") == "navigate"
        data = scope["path"].startswith(("/api/", "/v1/", "/metrics"))
        if site not in ("same-origin", "none") and (data or not navigates):
            raise Problem(403, "This request comes from a page of another site and is refused.")

    def _check_length(self, headers: Headers) -> None:
        length = headers.get("content-length", "0")
        if not length.isdigit():
            raise Problem(400, "The Content-Length is not a number.")
        if len(length) > 15 or int(length) > self._limits.body:
            raise _too_long(self._limits)


def _let_in(path: str, query: str, cookie: str, *, secure: bool) -> Response:
    """Keep the token in a cookie that scripts and other sites cannot use, and out of the address bar."""
    path = "/" + path.lstrip("/\\")  # two slashes would name another server
    response = RedirectResponse(f"{path}?{query}" if query else path, 303)
    response.set_cookie(COOKIE, cookie, httponly=True, samesite="strict", secure=secure)
    return response


class _Body:
    """Passes a body on until it is too long or too slow, or all bodies together are too much."""

    def __init__(self, receive: Receive, limits: Limits, held: _Held) -> None:
        self._receive, self._limits, self._held = receive, limits, held
        self.read, self._ended = 0, False
        self._deadline = asyncio.get_running_loop().time() + limits.body_s

    async def __call__(self) -> Message:
        if self._ended:
            return await self._receive()
        try:
            async with asyncio.timeout_at(self._deadline):
                message = await self._receive()
        except TimeoutError:
            raise Problem(408, f"The request took more than {self._limits.body_s:g} s to arrive.") from None
        size = len(message.get("body", b""))
        self.read += size
        self._held.bytes += size
        self._ended = not message.get("more_body", False)
        if self.read > self._limits.body:
            raise _too_long(self._limits)
        if self._held.bytes > self._limits.bodies:
            raise busy("Too much is being sent at once")
        return message


@dataclass
class _Held:
    """The bytes of all bodies that are being read or answered."""

    bytes: int = 0


def _too_long(limits: Limits) -> Problem:
    return Problem(413, f"The request is larger than {limits.body >> 20} MiB.")


def _host_name(host: str) -> str:
    """The name in a Host header, without port and brackets; empty if it is none."""
    try:
        parts = urlsplit(f"//{host}")
        return (parts.hostname or "").rstrip(".") if parts.netloc == host and not parts.username else ""
    except ValueError:
        return ""


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _cookie(headers: Headers) -> str:
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return found.value if found else ""
