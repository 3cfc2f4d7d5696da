"""All that the routes share: the gallery, its engine behind a queue, uploads, jobs."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Hashable, Sequence
from concurrent.futures import CancelledError, Future
from pathlib import PurePath
from typing import Annotated, Any, TypeVar

import numpy as np
from fastapi import Depends, Request

from featurelens.backbone.streams import PIECE
from featurelens.features.units import unit_rows, why_unfit
from featurelens.search import Gallery, Hit
from featurelens.search.listing import Listing
from featurelens.web.batcher import Batcher, Full
from featurelens.web.calibrated import Calibrated
from featurelens.web.decoder import Decoder
from featurelens.web.explaining import Lab
from featurelens.web.jobs import Jobs
from featurelens.web.lane import too_much
from featurelens.web.learned import Learned
from featurelens.web.limits import Limits
from featurelens.web.maps import Maps
from featurelens.web.problems import SERVICE, Problem, discreet, not_found
from featurelens.web.results import Results
from featurelens.web.uploads import Upload, Uploads

T = TypeVar("T")
R = TypeVar("R")
_ANSWERS = 16_384  # hits held at once by one call of the search


class Service:
    """One gallery being served; close it at the end."""

    def __init__(
        self,
        gallery: Gallery,
        *,
        limits: Limits,
        exposed: bool = False,
        device: str = "auto",
        uploads: Uploads | None = None,
    ) -> None:
        self.gallery, self.limits, self.device, self._exposed = gallery, limits, device, exposed
        self.listing = Listing(gallery)
        self.uploads = Uploads(limits.kept) if uploads is None else uploads
        self.jobs = Jobs()
        self.results = Results(gallery.folder, self.listing)
        self.maps = Maps(gallery, self.listing, self.results.folder)
        self.lab, self.concepts = Lab(self), Learned(self)
        settings = gallery.settings
        self.decoder = Decoder(
            gallery.spec.fit, exact=settings.exact, max_pixels=settings.max_pixels, limits=limits
        )
        self.calibrated = Calibrated(gallery)
        self._embedder: Batcher[np.ndarray, np.ndarray | Problem] = Batcher(
            self._embed_batch, most=limits.batch, budget_s=limits.batch_s, name="embed"
        )
        self._searcher: Batcher[np.ndarray, list[Hit]] = Batcher(
            self._search_batch, most=limits.batch, budget_s=limits.batch_s, name="search"
        )

    @property
    def queues(self) -> dict[str, Batcher[Any, Any]]:
        """The queues by name, for the metrics."""
        return {"embed": self._embedder, "search": self._searcher}

    def told(self, request: Request, text: str) -> str:
        """A text for this client: without the server's folders if it sits elsewhere."""
        return (
            discreet(text, [self.gallery.folder, self.gallery.images_folder])
            if self._is_remote(request)
            else text
        )

    def embed(self, pixels: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Unit vectors of fitted pixels; what several clients ask at once goes through the network together."""
        found = self._awaited(self._embedder, None, pixels)
        for one in found:
            if isinstance(one, Problem):
                raise one
        return [one for one in found if not isinstance(one, Problem)]

    def search(
        self,
        vector: np.ndarray,
        *,
        k: int,
        min_similarity: float | None = None,
        path: str | None = None,
        label: str | None = None,
        exact: bool | None = None,
    ) -> list[Hit]:
        """`Gallery.search` for a vector, together with what other clients search at the same time."""
        return self._awaited(self._searcher, (k, min_similarity, path, label, exact), [vector])[0]

    def upload(self, token: str) -> Upload:
        """A query image by its token, fitted as this gallery's network takes it; a 404 problem if there is none."""
        held = self.uploads.get(token)
        if held.fit in (None, self.decoder.fit):
            return held
        return self.uploads.renew(token, self.decoder.decode(held.data))  # another gallery was served then

    def warm_up(self) -> None:
        """Load what the first query would wait for: the network, the vectors, a process that decodes."""
        self.decoder.warm_up()
        fit = self.gallery.spec.fit
        blank = np.zeros((fit.rows, fit.cols, 3), np.uint8)
        self._awaited(self._embedder, None, [blank])
        started = time.perf_counter()
        self._awaited(self._embedder, None, [blank])
        if time.perf_counter() - started < self.limits.batch_s / 2:  # there will be batches
            for _ in range(3):  # all sizes of pieces; by then they have the memory that they will ever take
                self._embed_batch(None, [blank] * (2 * PIECE - 1))
        self.gallery.finder.snapshot()
        self.calibrated.line()

    def image(self, one: int) -> Hit:
        """An image by id; a 404 problem if there is none."""
        found = self.listing.hits([one])
        if not found:
            raise not_found(
                f"No image of the gallery has the id {one}; a file that was changed has a new one."
            )
        return found[0]

    def original(self, one: int) -> Hit:
        """An image whose file lies in the images folder; a 404 problem for one that does not."""
        hit = self.image(one)
        name = PurePath(hit.name)
        if name.is_absolute() or ".." in name.parts:
            raise not_found("The file of this image lies outside of the images folder, or was never a file.")
        return hit

    def close(self) -> None:
        """Stop the jobs and the queues, then close the gallery."""
        self.jobs.close()
        self.calibrated.close()
        self._embedder.close()
        self._searcher.close()
        self.decoder.close()
        self.gallery.close()

    def _awaited(self, queue: Batcher[T, R], key: Hashable, items: Sequence[T]) -> list[R]:
        futures: list[Future[R]] = []
        try:
            futures += [queue.submit(key, item) for item in items]
            return [future.result(self.limits.answer_s) for future in futures]
        except (TimeoutError, CancelledError, Full):
            for future in futures:
                future.cancel()
            raise too_much() from None

    def _is_remote(self, request: Request) -> bool:
        """Whether the client may sit elsewhere: at another address, or at any where there is a token."""
        host = request.client.host if request.client else ""
        try:
            local = ipaddress.ip_address(host).is_loopback
        except ValueError:
            local = host in ("", "testclient")
        return self._exposed or not local

    def _embed_batch(self, key: Hashable, items: Sequence[np.ndarray]) -> list[np.ndarray | Problem]:
        raw = self.gallery.backbone.embed(np.stack(items))
        units, good = unit_rows(raw)
        return [
            units[i] if good[i] else Problem(422, f"The image cannot be used: {why_unfit(raw[i])}.")
            for i in range(len(items))
        ]

    def _search_batch(self, key: Any, items: Sequence[np.ndarray]) -> list[list[Hit]]:
        k, min_similarity, path, label, exact = key
        step = max(1, _ANSWERS // max(1, k))
        found: list[list[Hit]] = []
        for start in range(0, len(items), step):
            found += self.gallery.search_many(
                np.stack(items[start : start + step]),
                k=k,
                min_similarity=min_similarity,
                path=path,
                label=label,
                exact=exact,
            )
        return found


async def _service(request: Request) -> Service:
    return request.scope[SERVICE]


Served = Annotated[Service, Depends(_service)]
