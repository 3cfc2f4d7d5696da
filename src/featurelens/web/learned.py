"""The concepts that were learned for the served gallery, and whether they are still its own."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

from featurelens.errors import InvalidInput, SpecMismatch
from featurelens.web.learning import state_mark
from featurelens.web.problems import Problem
from featurelens.web.shown import model_name

if TYPE_CHECKING:
    from featurelens.adapt.concepts import Concepts
    from featurelens.web.service import Service


class Learned:
    """Reads the folder `concepts` of the gallery, once more whenever they were learned anew."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._lock = Lock()
        self._held: tuple[Path, int, Concepts] | None = None

    @property
    def home(self) -> Path:
        """The folder that they lie in."""
        return self._service.gallery.folder / "concepts"

    @property
    def stamp(self) -> int | None:
        """Another number for each time that they were learned; None before the first."""
        if not self.home.is_dir():  # most galleries: the first page need not wait for what reads concepts
            return None
        from featurelens.adapt.concepts.saved import ARRAYS

        try:
            return (self.home / ARRAYS).stat().st_mtime_ns
        except OSError:
            return None

    @property
    def made(self) -> str | None:
        """When they were learned, ISO 8601."""
        stamp = self.stamp
        if stamp is None:
            return None
        return datetime.fromtimestamp(stamp / 1e9, UTC).isoformat(timespec="seconds")

    def get(self) -> Concepts | None:
        """The concepts; None before they were learned, a 409 problem where the file is broken."""
        from featurelens.adapt.concepts import Concepts

        with self._lock:
            stamp, home = self.stamp, self.home
            if stamp is None:
                return None
            if self._held is None or self._held[:2] != (home, stamp):
                try:
                    self._held = home, stamp, Concepts.load(home)
                except InvalidInput as error:
                    raise Problem(409, str(error)) from None
            return self._held[2]

    def need(self) -> Concepts:
        """The concepts; a 409 problem before they were learned."""
        found = self.get()
        if found is None:
            raise Problem(
                409,
                "No concepts were learned for this gallery; start the job 'concepts'.",
                job_kind="concepts",
            )
        return found

    def strange(self, found: Concepts) -> str | None:
        """Why they are not of this gallery as it is: another network, or other images; None where they are."""
        gallery = self._service.gallery
        try:
            found.check(gallery.spec)
        except SpecMismatch:
            theirs, ours = (model_name(one.name) for one in (found.spec, gallery.spec))
            which = f"'{theirs}'" if theirs != ours else f"other weights of '{theirs}'"
            return (
                f"These concepts were learned from {which}, and the gallery holds vectors of '{ours}': one "
                "can look at them, but not search with them. Learn them anew."
            )
        if found.origin == state_mark(self._service.listing.contents.ids):
            return None
        then = f"{found.images:,} images" if found.images != 1 else "1 image"
        if not found.origin:
            return (
                f"These concepts were learned from {then}, it is not known which: they may be of another state "
                f"of the gallery, which has {len(gallery):,} now."
            )
        return (
            f"The gallery has changed since these concepts were learned, from {then}; it has {len(gallery):,} now. "
            "They can be searched with; frequencies and exemplars are those of then."
        )

    def led(self, vector: np.ndarray | None, along: Mapping[int, float]) -> np.ndarray:
        """A query (None: nothing) led along concepts. 409 or 422 problems say why that can't be done."""
        found = self.need()
        found.check(self._service.gallery.spec)
        return found.steer(vector, along)
