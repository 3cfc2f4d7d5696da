"""`featurelens serve`: the web app and the REST service of a gallery."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from featurelens.cli.options import Device
from featurelens.cli.terminal import notice, say

if TYPE_CHECKING:
    from featurelens.search import Gallery

_LOCAL = ("127.0.0.1", "localhost", "::1")


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
    update: Annotated[
        bool, typer.Option(help="Index new and changed images in the background at the start.")
    ] = True,
    open_page: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    device: Device = "auto",
) -> None:
    """Serve a gallery: pages to search and see it, and a REST service, on this machine."""
    if host not in _LOCAL and not token:
        raise typer.BadParameter(
            f"{host} can be reached from other machines; set a token (--token, or FEATURELENS_TOKEN)",
            param_hint="--host",
        )
    from urllib.parse import quote

    import uvicorn
    from rich.markup import escape

    from featurelens.web.app import make_app
    from featurelens.web.work import start_index

    gallery = _gallery(images, device)
    app = make_app(gallery, token=token, hosts=[*(allow_host or []), host], device=device)
    if update:
        start_index(app.state.service)
    listening = _listening(host, port)
    number = listening.getsockname()[1]
    named = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    link = f"http://{named}:{number}/" + (f"?token={quote(token, safe='')}" if token else "")
    print(link, flush=True)
    meanwhile = " New ones are indexed meanwhile." if update else ""
    notice(f"{len(gallery):,} images, {escape(gallery.spec.name)}.{meanwhile} Ctrl-C ends it.")
    if open_page:
        import webbrowser

        webbrowser.open(link)
    config = uvicorn.Config(
        app, log_level="warning", timeout_graceful_shutdown=3, server_header=False, limit_concurrency=512
    )
    try:
        uvicorn.Server(config).run(sockets=[listening])
    except KeyboardInterrupt:  # the usual way to end a server; jobs have been stopped, what they did is saved
        return


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
    from featurelens.cli.galleries import find_gallery, open_or_create
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
