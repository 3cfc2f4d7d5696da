"""Serves the pages while the app behind them is still being imported and its gallery opened."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Callable, Collection
from contextlib import AsyncExitStack
from threading import Thread
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from featurelens.web.gate import ENGINE
from featurelens.web.guard import Guard
from featurelens.web.lifespan import living
from featurelens.web.limits import Limits
from featurelens.web.metrics import Metered
from featurelens.web.problems import Problem, answer
from featurelens.web.routes.pages import PAGES, STATIC, read_pages
from featurelens.web.sealed import Sealed
from featurelens.web.tokens import Tokens

if TYPE_CHECKING:
    from fastapi import FastAPI

_SWITCH_S = 0.0005  # how long the importing thread may keep the interpreter from answering


class Early:
    """ASGI app in front of the one that `make` makes in a thread: a browser loads its page meanwhile.

    What needs the app waits for it. `error` is what kept it from being made; then `on_failure` is called.
    """

    def __init__(
        self,
        make: Callable[[], FastAPI],
        *,
        tokens: Tokens,
        hosts: Collection[str] = (),
        limits: Limits | None = None,
        on_failure: Callable[[], None] = lambda: None,
    ) -> None:
        self._make, self.on_failure = make, on_failure
        self.error: BaseException | None = None
        self._app: FastAPI | None = None
        self._closing = False
        self._ready = asyncio.Event()
        self._counted: list[Any] = []  # by the app, as soon as it is there
        guard = Guard(self._while_waiting, tokens=tokens, hosts=hosts, limits=limits)
        self._first: ASGIApp = Sealed(Metered(guard, count=self._count, known=ENGINE))

    @property
    def inside(self) -> int:
        """How many requests are being answered by the app."""
        return self._app.state.door.inside if self._app else 0

    def close_door(self) -> None:
        """Let nobody in any more; jobs stop."""
        self._closing = True
        if self._app is not None:
            self._app.state.door.closing = True
            Thread(target=self._app.state.current.service.jobs.close, daemon=True).start()

    def look_now(self) -> None:
        """Open the gallery anew."""
        if self._app is not None and self._app.state.keeper is not None:
            self._app.state.keeper.look_now()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif self._app is not None and self._ready.is_set():
            await self._app(scope, receive, send)
        else:
            await self._first(scope, receive, send)

    async def _while_waiting(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        if scope["type"] == "http" and scope["method"] == "GET":
            if path in PAGES:
                scope["route"] = SimpleNamespace(path=path)
                await read_pages().page(path)(scope, receive, send)
                return
            if path.startswith("/static/"):
                scope["route"] = SimpleNamespace(path=STATIC)
                await _file(path)(scope, receive, send)
                return
        await self._ready.wait()
        if self._app is None:
            await answer(path, Problem(503, "The service could not start; its own log says why."))(
                scope, receive, send
            )
            return
        await self._app(scope, receive, send)

    def _count(self, *request: Any) -> None:
        if self._app is None:
            self._counted.append(request)
        else:
            self._app.state.meters.add(*request)

    async def _live(self, receive: Receive, send: Send) -> None:
        async with AsyncExitStack() as stack:
            await receive()
            making = asyncio.create_task(self._made(stack))
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await making
        await send({"type": "lifespan.shutdown.complete"})

    async def _made(self, stack: AsyncExitStack) -> None:
        usual = sys.getswitchinterval()
        sys.setswitchinterval(_SWITCH_S)
        gc.disable()  # what is imported stays: looking through it for garbage would be in vain
        try:
            app = await asyncio.to_thread(self._make)
            await stack.enter_async_context(living(app))
            self._app = app
            for request in self._counted:
                app.state.meters.add(*request)
            self._counted.clear()
            if self._closing:
                self.close_door()
        except BaseException as error:  # noqa: BLE001 (goes to whoever started the server)
            self.error = error
            self.on_failure()
        finally:
            sys.setswitchinterval(usual)
            gc.freeze()
            gc.enable()
            self._ready.set()


def _file(path: str) -> ASGIApp:
    version, _, name = path.removeprefix("/static/").partition("/")
    try:
        return read_pages().file(version, name)
    except HTTPException as error:
        return answer(path, Problem(error.status_code, str(error.detail)))
