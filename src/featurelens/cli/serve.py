"""`featurelens serve`: the web app and the REST service of a gallery."""

from __future__ import annotations

import os
import socket
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from featurelens.cli.galleries import find_gallery, open_or_create
from featurelens.cli.options import Device
from featurelens.cli.terminal import say

if TYPE_CHECKING:
    from fastapi import FastAPI

    from featurelens.search import Gallery

_LOOK_S = 2.0
_LOCAL = ("127.0.0.1", "localhost", "::1")


class Kind(StrEnum):
    """How the log is written."""

    text = "text"
    json = "json"


def serve(
    images: Annotated[
        Path | None,
        typer.Argument(
            help="Folder of images, indexed or not, or a gallery folder. Default: the nearest one here."
        ),
    ] = None,
    host: Annotated[
        str, typer.Option(help="Address to listen on; any but this machine's own wants --token.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; 0 takes a free one.")] = 8765,
    token: Annotated[
        str | None,
        typer.Option(envvar="FEATURELENS_TOKEN", help="Ask every client for this token."),
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(help="A name under which the service may be asked for; repeat for more."),
    ] = None,
    token_file: Annotated[
        Path | None,
        typer.Option(
            help="Tokens, one a line; the file is read again when it changes, and any of them is right."
        ),
    ] = None,
    update: Annotated[
        bool, typer.Option(help="Index new and changed images in the background at the start.")
    ] = True,
    open_page: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    latency: Annotated[
        float,
        typer.Option(
            min=0.001,
            help="Seconds that 99 of 100 queries may take; what would take longer is refused (429).",
        ),
    ] = 2.0,
    batch: Annotated[
        int,
        typer.Option(min=1, help="Queries of several clients that go through the engine together, at most."),
    ] = 64,
    rate: Annotated[
        float | None,
        typer.Option(min=0.01, help="Requests a second from each client; more are refused (429)."),
    ] = None,
    burst: Annotated[int, typer.Option(min=1, help="So many of them may come at once (with --rate).")] = 200,
    timeout: Annotated[
        float, typer.Option(min=0.1, help="Seconds until a request is given up (504).")
    ] = 60.0,
    drain: Annotated[
        float, typer.Option(min=0, help="Seconds that requests have to end in after SIGTERM or Ctrl-C.")
    ] = 30.0,
    log: Annotated[
        Kind, typer.Option(help="text: warnings; json: also every request, one JSON object a line.")
    ] = Kind.text,
    device: Device = "auto",
) -> None:
    """Serve a gallery: pages to search and see it, and a REST service, on this machine."""
    if host not in _LOCAL and not token and not token_file:
        raise typer.BadParameter(
            f"{host} can be reached from other machines; set a token (--token, FEATURELENS_TOKEN or --token-file)",
            param_hint="--host",
        )
    from urllib.parse import quote

    from featurelens.web.logs import set_up
    from featurelens.web.tokens import Tokens

    set_up(log.value)
    if images is None:
        find_gallery(None, Path.cwd())
    tokens = Tokens(token, token_file)
    listening = _listening(host, port)
    number = listening.getsockname()[1]
    named = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    link = f"http://{named}:{number}/" + (f"?token={quote(token, safe='')}" if token else "")
    print(link, flush=True)  # before the rest is imported: who connects now is answered in a moment
    if open_page:
        import webbrowser

        webbrowser.open(link)

    os.environ.setdefault(
        "PYDANTIC_DISABLE_PLUGINS", "__all__"
    )  # none looks into the requests, none is looked for
    from featurelens.web.early import Early
    from featurelens.web.limits import Limits
    from featurelens.web.server import Server

    limits = Limits(latency_s=latency, batch=batch, answer_s=timeout, rate=rate, burst=burst)
    hosts = [*(allow_host or []), host]

    def make() -> FastAPI:
        from featurelens.web.app import make_app

        gallery = _gallery(images, device)
        app = make_app(gallery, token=tokens, hosts=hosts, limits=limits, device=device, look_s=_LOOK_S)
        if update:
            from featurelens.web.work import start_index

            start_index(app.state.current.service)
        meanwhile = " New ones are indexed meanwhile." if update else ""
        say(f"{len(gallery):,} {gallery.spec.things}, {gallery.spec.name}.{meanwhile} Ctrl-C ends it.")
        return app

    early = Early(make, tokens=tokens, hosts=hosts, limits=limits)
    Server(early, drain_s=drain).serve_on(listening)


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server((host, port), family=family, backlog=512)
        # the ends of answers are not held back for 40 ms (asyncio does this for sockets that it makes itself)
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listening
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise typer.BadParameter(
            f"cannot listen on {host}, port {port} ({why.lower()}); --port 0 takes a free port"
        ) from error


def _gallery(images: Path | None, device: str) -> Gallery:
    from featurelens.search import Gallery

    if images is None:
        return Gallery.open(find_gallery(None, Path.cwd()), device=device, say=say)
    from featurelens.images.address import place_of
    from featurelens.search.store import is_table

    if is_table(images):
        return Gallery.open(place_of(images), device=device, say=say)
    if (images / "gallery.db").is_file():
        return Gallery.open(images, device=device, say=say)
    return open_or_create(Path(os.path.abspath(images)), backbone=None, at=None, device=device)
