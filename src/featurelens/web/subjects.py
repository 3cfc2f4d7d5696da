"""The routes of the service by subject: those that a first page needs, and all others, which may come behind it."""

from __future__ import annotations

from importlib import import_module
from threading import Lock
from typing import TYPE_CHECKING

from starlette.types import Receive, Scope, Send

from featurelens.web.routes import images, ops, search
from featurelens.web.unknown import unknown

if TYPE_CHECKING:
    from fastapi import FastAPI

FIRST = (search, images, ops)
LATER = (
    "uploads",
    "explain",
    "inside",
    "layout",
    "duplicates",
    "quality",
    "concepts",
    "jobs",
    "openai",
)


class Subjects:
    """Gives an app its first routes; `complete` imports and adds the others, once.

    A request that no route is there for completes them and is looked at again: nobody can tell when it happens.
    """

    def __init__(self, app: FastAPI) -> None:
        self._app, self._lock, self._is_complete = app, Lock(), False
        for subject in FIRST:
            app.include_router(subject.router)
        app.router.default = self._look_again

    def complete(self) -> None:
        """Add the routes that are not there yet; safe to call from several threads."""
        with self._lock:
            if not self._is_complete:
                for name in LATER:
                    self._app.include_router(import_module(f"featurelens.web.routes.{name}").router)
                self._is_complete = True

    async def _look_again(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._is_complete:
            await unknown(scope, receive, send)
            return
        from anyio import to_thread

        await to_thread.run_sync(self.complete)
        await self._app.router(scope, receive, send)
