"""Behind the requests: warms the service up, and lets another gallery take the place of the one that is served."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from threading import Event, Thread

from featurelens.errors import FeaturelensError
from featurelens.search import Gallery
from featurelens.web.current import Current
from featurelens.web.gate import Door
from featurelens.web.service import Service

_QUIET_S, _AT_MOST_S = 0.5, 5.0
_SETTLED_S = 30.0
_log = logging.getLogger("featurelens.web")


class Keeper:
    """A thread that looks every `look_s` seconds whether another gallery lies at the address of the one served.

    A folder that was exchanged (a link that leads elsewhere, a rename) or a table that was made anew is opened and warmed
    up beside the old one, then takes its place; no request is lost. One that holds fewer images than are served is waited
    for until it has not grown for half a minute; `look_now` (SIGHUP) takes it as it is.
    """

    def __init__(
        self, current: Current, door: Door, made: Callable[[Gallery, Service], Service], *, look_s: float
    ) -> None:
        self._current, self._door, self._made, self._look_s = current, door, made, look_s
        self._stop, self._news, self._forced = Event(), Event(), False
        self._grown: tuple[int, float] = (-1, 0.0)
        self._told = ""
        self.warm = Event()
        self._thread = Thread(target=self._run, name="featurelens-keeper", daemon=True)

    def start(self, *, behind: Callable[[], None] = lambda: None) -> None:
        """Begin; `behind` is called before the warming up, as soon as nobody waits for an answer."""
        self._behind = behind
        self._thread.start()

    def look_now(self) -> None:
        """Open the gallery anew, whether or not it was exchanged."""
        self._forced = True
        self._news.set()

    def close(self) -> None:
        """End; a gallery that is being opened is waited for."""
        self._stop.set()
        self._news.set()
        self._thread.join()

    def _run(self) -> None:
        self._guarded(self._current.service.gallery.store.replaced)  # from now on it stays as it is
        self._wait_for_quiet()
        self._guarded(self._behind)
        self._guarded(self._current.service.warm_up)
        self.warm.set()
        while not self._stop.is_set():
            self._news.wait(self._look_s)
            self._news.clear()
            if not self._stop.is_set():
                self._guarded(self._look)

    def _guarded(self, step: Callable[[], object]) -> None:
        try:
            step()
        except FeaturelensError as error:
            if str(error) != self._told:  # not every two seconds again
                self._told = str(error)
                _log.warning("%s What was served before goes on.", error)
        except Exception:  # noqa: BLE001 (the next look may do better; the service goes on)
            _log.exception("looking after the gallery failed")

    def _wait_for_quiet(self) -> None:
        """Whoever opens the page first shall not share the processor with the warming up."""
        begun = quiet = time.monotonic()
        while not self._stop.is_set() and time.monotonic() - begun < _AT_MOST_S:
            if self._door.inside:
                quiet = time.monotonic()
            if time.monotonic() - quiet >= _QUIET_S:
                return
            time.sleep(0.05)

    def _look(self) -> None:
        forced, self._forced = self._forced, False
        before = self._current.service
        if not forced and not before.gallery.store.replaced():
            return
        gallery = Gallery.open(before.gallery.address, device=before.device)
        if not forced and not self._complete(len(gallery), len(before.gallery)):
            gallery.close()
            return
        service = self._made(gallery, before)
        try:
            service.warm_up()
        except FeaturelensError:
            service.close()
            raise
        if self._current.switch(service):
            self._grown, self._told = (-1, 0.0), ""
            _log.info("another gallery is served: %d images, %s", len(gallery), gallery.spec.name)

    def _complete(self, images: int, before: int) -> bool:
        now = time.monotonic()
        if images != self._grown[0]:
            self._grown = images, now
        return images >= before or (images > 0 and now - self._grown[1] >= _SETTLED_S)
