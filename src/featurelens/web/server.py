"""Runs the app on a socket and ends without losing what it has accepted."""

from __future__ import annotations

import signal
import socket
import time
from types import FrameType

import uvicorn

from featurelens.web.early import Early

# For so long those who ask on an open connection are told that the service ends.
_LINGER_S: dict[int, float] = {signal.SIGTERM: 1.0, signal.SIGINT: 0.2}
_CONNECTIONS = 4096


class Server(uvicorn.Server):
    """The first SIGTERM or SIGINT lets nobody in (503) and waits for those inside, at most `drain_s`; a second ends it now."""

    def __init__(self, app: Early, *, drain_s: float) -> None:
        config = uvicorn.Config(
            app,
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=2,
            timeout_keep_alive=75,  # longer than proxies keep one: they close first, so that no request meets a closing
            limit_concurrency=_CONNECTIONS,
            ws="none",
        )
        super().__init__(config)
        self._drain_s, self._app = drain_s, app
        self._ending_since: float | None = None
        self._linger_s = 0.0
        app.on_failure = self._fail

    def serve_on(self, listening: socket.socket) -> None:
        """Serve until a signal comes; raises what kept the app from being made."""
        if hasattr(signal, "SIGHUP"):
            signal.signal(signal.SIGHUP, lambda *_: self._app.look_now())
        self.run(sockets=[listening])
        if self._app.error is not None:
            raise self._app.error

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to end; once more: now."""
        if self._ending_since is None:
            self._ending_since, self._linger_s = time.monotonic(), _LINGER_S.get(sig, 0.0)
            self._app.close_door()
        else:
            self.force_exit = self.should_exit = True

    async def on_tick(self, counter: int) -> bool:
        """Whether it is time to end (asked ten times a second)."""
        if self._ending_since is not None:
            waited = time.monotonic() - self._ending_since
            out = not self._app.inside and waited >= self._linger_s
            self.should_exit = self.should_exit or out or waited >= self._drain_s
        return await super().on_tick(counter)

    def _fail(self) -> None:
        self.should_exit = True
