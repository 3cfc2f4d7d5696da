"""The service that answers now; another takes its place without a lost request."""

from __future__ import annotations

import time
from collections import Counter
from threading import Lock, Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from featurelens.web.service import Service


class Current:
    """Every request borrows the service that is current when it comes, and keeps it to its end.

    A service that was replaced is closed when the last of its requests has ended. Safe to use from several threads.
    """

    def __init__(self, service: Service) -> None:
        self._service, self._lock = service, Lock()
        self._borrowed: Counter[Service] = Counter()
        self._closed = False
        self.switches, self.started = 0, time.time()

    @property
    def service(self) -> Service:
        """The one for requests that come now."""
        return self._service

    def borrow(self) -> Service:
        """The current service, to be given back."""
        with self._lock:
            self._borrowed[self._service] += 1
            return self._service

    def give_back(self, service: Service) -> None:
        """Done with it."""
        with self._lock:
            self._borrowed[service] -= 1
            last = not self._borrowed[service]
            if last:
                del self._borrowed[service]
            last = last and service is not self._service
        if last:
            _close_apart(service)

    def switch(self, service: Service) -> bool:
        """From now on requests get this one; False, and it is closed, if all has ended meanwhile."""
        with self._lock:
            if self._closed:
                late = service
            else:
                late, self._service = self._service, service
                self.switches += 1
            unused = late not in self._borrowed
        if late is not service:
            late.jobs.close()  # those who watch a job hold the service: their watching ends with it
        if unused:
            late.close()
        return late is not service

    def close(self) -> None:
        """Close the current one."""
        with self._lock:
            self._closed = True
        self._service.close()


def _close_apart(service: Service) -> None:
    Thread(target=service.close, name="featurelens-close", daemon=True).start()
