"""What an address is answered with at which there is nothing: people are led back, programs told where all are listed."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from featurelens.web.problems import answer, not_found
from featurelens.web.routes.pages import read_pages


async def unknown(scope: Scope, receive: Receive, send: Send) -> None:
    """ASGI app: 404, as a page where a page is asked for, or else as a problem that names the address."""
    path = scope["path"]
    if "text/html" in Headers(scope=scope).get("accept", ""):
        told = read_pages().missing()
    else:
        where = "/openapi.json lists every address of this service"
        told = answer(path, not_found(f"There is nothing at {path}; {where}."))
    await told(scope, receive, send)
