"""Query images that clients sent: kept in memory under a token, the least used go first."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock

import numpy as np

from featurelens.images.fit import Fit
from featurelens.shapes import UInt8
from featurelens.web.problems import not_found


@dataclass(frozen=True, eq=False)
class Upload:
    """An image as sent, as the network takes it, and small enough to be shown."""

    data: bytes
    width: int
    height: int
    fitted: UInt8[np.ndarray, "row col 3"]
    shown: bytes  # WebP
    fit: Fit | None = None  # how it was fitted

    @property
    def size(self) -> int:
        """Bytes of memory."""
        return len(self.data) + self.fitted.nbytes + len(self.shown)


class Uploads:
    """A bounded memory: all uploads together take at most `capacity` bytes (the newest always stays)."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._held: OrderedDict[str, Upload] = OrderedDict()
        self._bytes = 0
        self._lock = Lock()

    def put(self, upload: Upload) -> str:
        """Keep it; returns its token, which nobody can guess."""
        token = secrets.token_urlsafe(16)
        with self._lock:
            self._held[token] = upload
            self._bytes += upload.size
            while self._bytes > self._capacity and len(self._held) > 1:
                _, oldest = self._held.popitem(last=False)
                self._bytes -= oldest.size
        return token

    def get(self, token: str) -> Upload:
        """The upload of this token; a 404 problem if there is none or it has gone."""
        with self._lock:
            if token not in self._held:
                raise not_found("There is no such upload, or it was dropped to make room. Send it again.")
            self._held.move_to_end(token)
            return self._held[token]

    def renew(self, token: str, upload: Upload) -> Upload:
        """Put another in its place, if it is still there."""
        with self._lock:
            if token in self._held:
                self._bytes += upload.size - self._held[token].size
                self._held[token] = upload
        return upload

    def __len__(self) -> int:
        return len(self._held)
