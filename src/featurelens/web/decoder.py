"""Strangers' images are decoded in processes apart, within limits of time and memory."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import asdict
from queue import Empty, SimpleQueue
from threading import Lock, Semaphore, Timer

import numpy as np

from featurelens.errors import ImageError
from featurelens.images.fit import Fit
from featurelens.web.decode_child import receive, send
from featurelens.web.limits import Limits
from featurelens.web.problems import busy
from featurelens.web.uploads import Upload

SHOWN = 1024
_PROCESSES = 2
_MOST_WAIT = 64  # fewer than the threads that answer requests
_COMMAND = (
    sys.executable,
    "-P",
    "-m",
    "featurelens.web.decode_child",
)  # -P: no modules from the folder it is started in


class Decoder:
    """A few processes that decode; those that take too long or die are replaced."""

    def __init__(self, fit: Fit, *, exact: bool, max_pixels: int, limits: Limits) -> None:
        self.fit, self._limits = fit, limits
        self._about = {
            "fit": asdict(fit),
            "exact": exact,
            "max_pixels": min(max_pixels, limits.pixels),
        }
        self._idle: SimpleQueue[subprocess.Popen[bytes]] = SimpleQueue()
        self._slots, self._waiting = Semaphore(_PROCESSES), Semaphore(_MOST_WAIT)
        self._lock = Lock()
        self._alive: set[subprocess.Popen[bytes]] = set()

    def warm_up(self) -> None:
        """Start a process ahead of its first work."""
        self._idle.put(self._started())

    def decode(self, data: bytes, *, shown: bool = True) -> Upload:
        """The image, if it will be `shown` with a picture for that.

        ImageError if it is none, a 422 problem if decoding it hangs or crashes, 429 if many wait.
        """
        if not self._waiting.acquire(blocking=False):
            raise busy("Too many images wait to be decoded")
        try:
            with self._slots:
                return self._decoded(data, SHOWN if shown else 0)
        finally:
            self._waiting.release()

    def close(self) -> None:
        """End the processes."""
        with self._lock:
            alive, self._alive = list(self._alive), set()
        for process in alive:
            _end(process)

    def _decoded(self, data: bytes, side: int) -> Upload:
        process = self._taken()
        assert process.stdin is not None
        assert process.stdout is not None
        watch = Timer(self._limits.decode_s, process.kill)
        watch.start()
        try:
            send(process.stdin, {**self._about, "shown": side}, data)
            told, (fitted, picture) = receive(process.stdout)
        except (OSError, EOFError, ValueError):
            slow = watch.finished.is_set()
            self._forget(process)
            why = f"decoding it took more than {self._limits.decode_s:g} s" if slow else "its decoder gave up"
            raise ImageError(f"{why}; save it anew with another program") from None
        except BaseException:
            self._forget(process)
            raise
        finally:
            watch.cancel()
        if told["last"]:
            self._forget(process)
        else:
            self._idle.put(process)
        if "reason" in told:
            raise ImageError(told["reason"])
        pixels = np.frombuffer(fitted, np.uint8).reshape(self.fit.rows, self.fit.cols, 3)
        return Upload(data, told["width"], told["height"], pixels, picture, self.fit)

    def _taken(self) -> subprocess.Popen[bytes]:
        while True:
            try:
                process = self._idle.get_nowait()
            except Empty:
                return self._started()
            if process.poll() is None:
                return process
            self._forget(process)

    def _started(self) -> subprocess.Popen[bytes]:
        pipe, nowhere = subprocess.PIPE, subprocess.DEVNULL
        known = {name: value for name, value in os.environ.items() if "TOKEN" not in name}
        process = subprocess.Popen(_COMMAND, stdin=pipe, stdout=pipe, stderr=nowhere, env=known)
        with self._lock:
            self._alive.add(process)
        return process

    def _forget(self, process: subprocess.Popen[bytes]) -> None:
        with self._lock:
            self._alive.discard(process)
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    for stream in (process.stdin, process.stdout):
        try:
            if stream is not None:
                stream.close()
        except OSError:  # what was still to be written to a process that is gone
            continue
    process.wait()
