"""The web app of one gallery: pages, REST service, and the guard in front of both."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager

from fastapi import FastAPI

from featurelens import __version__
from featurelens.search import Gallery
from featurelens.web.described import describe
from featurelens.web.guard import Guard
from featurelens.web.limits import Limits
from featurelens.web.metrics import Metered
from featurelens.web.problems import add_handlers
from featurelens.web.routes import (
    duplicates,
    explain,
    images,
    inside,
    jobs,
    layout,
    openai,
    ops,
    quality,
    search,
    uploads,
)
from featurelens.web.routes.pages import add_pages
from featurelens.web.service import Service

SUBJECTS = (search, images, uploads, explain, inside, layout, duplicates, quality, jobs, openai, ops)
_ABOUT = "Search, see and assess a gallery of images. Pages on the same address use nothing but this service."


def make_app(
    gallery: str | os.PathLike[str] | Gallery,
    *,
    token: str | None = None,
    hosts: Collection[str] = (),
    limits: Limits | None = None,
    device: str = "auto",
) -> FastAPI:
    """The app of a gallery (or of the folder that holds one); any ASGI server runs it.

    It answers only under the names 127.0.0.1, localhost and `hosts`. With a `token` every request must bring
    it, and any address is good; without one, let it listen on this machine only. Raises GalleryError.
    """
    rules = limits or Limits()
    opened = gallery if isinstance(gallery, Gallery) else Gallery.open(gallery, device=device)
    service = Service(opened, limits=rules, token=token, device=device)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        from anyio import to_thread

        to_thread.current_default_thread_limiter().total_tokens = 96
        service.decoder.warm_up()
        yield
        await to_thread.run_sync(service.close)

    app = FastAPI(
        title="featurelens",
        version=__version__,
        description=_ABOUT,
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.service = service
    for subject in SUBJECTS:
        app.include_router(subject.router)
    describe(app, token=bool(token))
    add_pages(app)
    add_handlers(app)
    app.add_middleware(Metered, meters=service.meters)
    app.add_middleware(Guard, token=token, hosts=hosts, limits=rules)
    return app
