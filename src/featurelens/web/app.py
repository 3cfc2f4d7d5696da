"""The web app of one gallery: pages, REST service, and the guard in front of both."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager

from fastapi import FastAPI

from featurelens import __version__
from featurelens.search import Gallery
from featurelens.web.current import Current
from featurelens.web.described import describe
from featurelens.web.gate import ENGINE, Door, Gate
from featurelens.web.guard import Guard
from featurelens.web.keeper import Keeper
from featurelens.web.lane import Lane
from featurelens.web.limits import Limits
from featurelens.web.metrics import Metered, Meters
from featurelens.web.problems import add_handlers
from featurelens.web.rates import RateLimit, Rates
from featurelens.web.routes.pages import add_pages
from featurelens.web.sealed import Sealed
from featurelens.web.service import Service
from featurelens.web.subjects import Subjects
from featurelens.web.tokens import Tokens

_ABOUT = "Search, see and assess a gallery of images. Pages on the same address use nothing but this service."


def make_app(
    gallery: str | os.PathLike[str] | Gallery,
    *,
    token: str | Tokens | None = None,
    hosts: Collection[str] = (),
    limits: Limits | None = None,
    device: str = "auto",
    look_s: float | None = None,
) -> FastAPI:
    """The app of a gallery (or of the folder that holds one); any ASGI server runs it.

    It answers only under the names 127.0.0.1, localhost and `hosts`. With a `token`, or several Tokens, every request must
    bring one, and any address is good; without, let it listen on this machine only. `look_s`: warm up, and import what the
    first page does without, behind the first requests; and look so often whether another gallery lies at the address,
    which is then served instead. Raises GalleryError.
    """
    rules = limits or Limits()
    tokens = token if isinstance(token, Tokens) else Tokens(token)
    opened = gallery if isinstance(gallery, Gallery) else Gallery.open(gallery, device=device)

    def made(gallery: Gallery, before: Service | None = None) -> Service:
        uploads = before.uploads if before else None
        return Service(gallery, limits=rules, exposed=bool(tokens), device=device, uploads=uploads)

    current, door, lane, meters = Current(made(opened)), Door(), Lane(rules), Meters()
    keeper = Keeper(current, door, made, look_s=look_s) if look_s else None

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        from anyio import to_thread

        to_thread.current_default_thread_limiter().total_tokens = 96
        if keeper is not None:
            keeper.start(behind=subjects.complete)
        yield
        if keeper is not None:
            await to_thread.run_sync(keeper.close)
        await to_thread.run_sync(current.close)

    app = FastAPI(
        title="featurelens",
        version=__version__,
        description=_ABOUT,
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    state = app.state
    state.current, state.door, state.lane, state.meters, state.keeper = current, door, lane, meters, keeper
    subjects = Subjects(app)
    if keeper is None:
        subjects.complete()
    describe(app, subjects, token=bool(tokens))
    add_pages(app)
    add_handlers(app)
    app.add_middleware(Gate, current=current, door=door, lane=lane, limits=rules)
    app.add_middleware(Guard, tokens=tokens, hosts=hosts, limits=rules)
    if rules.rate is not None:  # around the guard: guesses at the token are limited, too
        app.add_middleware(RateLimit, rates=Rates(rate=rules.rate, burst=rules.burst))
    app.add_middleware(Metered, count=meters.add, known=ENGINE)
    app.add_middleware(Sealed)
    return app
