"""The similarity below which nothing really matches, at hand for every answer."""

from __future__ import annotations

from threading import Lock, Thread

from featurelens.errors import GalleryError
from featurelens.search import Gallery, nothing_matches_below

_STALE = 0.1  # measured again when the gallery has grown or shrunk by more than this share


class Calibrated:
    """Measures once, and again in the background: no search waits for that of a gallery that grows."""

    def __init__(self, gallery: Gallery) -> None:
        self._gallery = gallery
        self._lock = Lock()
        self._known: tuple[int, float | None] | None = None
        self._thread: Thread | None = None

    def line(self) -> float | None:
        """The line as last measured; None for a gallery too small for it."""
        images = len(self._gallery)
        known = self._known
        if known is None or (known[1] is None and images < 10_000):  # quick
            with self._lock:
                if self._known is known:
                    self._known = images, nothing_matches_below(self._gallery)
                return self._known[1] if self._known else None
        if abs(images - known[0]) > _STALE * known[0] and self._lock.acquire(blocking=False):
            self._thread = Thread(target=self._again, args=(images,), name="featurelens-line", daemon=True)
            self._thread.start()
        return known[1]

    def close(self) -> None:
        """Wait for a measurement that runs."""
        if self._thread is not None:
            self._thread.join()

    def _again(self, images: int) -> None:
        try:
            self._known = images, nothing_matches_below(self._gallery)
        except GalleryError:  # busy or away at the moment; the old line stays
            return
        finally:
            self._lock.release()
