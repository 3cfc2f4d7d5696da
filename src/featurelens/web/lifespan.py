"""Begins and ends an ASGI app as a server does, so that whatever it wraps around its life is run, too."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.types import ASGIApp, Message


@asynccontextmanager
async def living(app: ASGIApp) -> AsyncIterator[None]:
    """The app has started inside of the block and has ended after it; raises what kept it from starting or ending."""
    told: asyncio.Queue[Message] = asyncio.Queue()
    said: asyncio.Queue[Message] = asyncio.Queue()
    scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}}
    life = asyncio.create_task(_whole(app, scope, told, said))

    async def step(name: str) -> None:
        await told.put({"type": name})
        if (await said.get())["type"] != f"{name}.complete":
            await life  # raises
            raise RuntimeError(f"The app did not answer {name}.")

    await step("lifespan.startup")
    yield
    await step("lifespan.shutdown")
    await life


async def _whole(
    app: ASGIApp, scope: dict[str, object], told: asyncio.Queue[Message], said: asyncio.Queue[Message]
) -> None:
    try:
        await app(scope, told.get, said.put)
    finally:
        await said.put({"type": "over"})
