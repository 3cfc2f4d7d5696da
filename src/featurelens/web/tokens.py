"""The tokens that let a client in: one that was given, and those of a file that is read again when it changes."""

from __future__ import annotations

import hashlib
import hmac
import logging
import time
from collections.abc import Callable
from pathlib import Path

from featurelens.errors import InvalidInput

_LOOK_S = 1.0
_log = logging.getLogger("featurelens.web")


class Tokens:
    """Any of them is right. To rotate one, add the new to the file, let clients change, then remove the old.

    The file has one token a line; empty lines and those that begin with # are passed over. A file that is away or empty
    later on changes nothing (with a warning): the door is never left open. Raises InvalidInput if it is so at the start.
    """

    def __init__(
        self,
        token: str | None = None,
        file: Path | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._given, self._file, self._clock = ([token] if token else []), file, clock
        self._stamp: tuple[int, int, int] | None = None
        self._known: dict[bytes, str] = {}
        self._looked = clock()
        if file is not None:
            self._stamp = _stamp(file)
            self._keep(_read(file))
        else:
            self._keep([])

    def __bool__(self) -> bool:
        """Whether clients need one."""
        return bool(self._known)

    def right(self, given: bytes) -> bool:
        """Whether it is one of them; takes equally long for each."""
        return self._match(given, self._now()) is not None

    def cookie(self, given: bytes) -> str | None:
        """The cookie that stands for a token; it tells no token, and ends with it."""
        return self._match(given, self._now())

    def right_cookie(self, given: bytes) -> bool:
        """Whether it stands for one of them."""
        right = [hmac.compare_digest(given, one.encode()) for one in self._now().values()]
        return any(right)

    @staticmethod
    def _match(given: bytes, known: dict[bytes, str]) -> str | None:
        found = [cookie for token, cookie in known.items() if hmac.compare_digest(given, token)]
        return found[0] if found else None

    def _now(self) -> dict[bytes, str]:
        now = self._clock()
        if self._file is not None and now - self._looked >= _LOOK_S:
            self._looked = now
            self._look(self._file)
        return self._known

    def _look(self, file: Path) -> None:
        try:
            stamp = _stamp(file)
            if stamp != self._stamp:
                self._keep(_read(file))
                self._stamp = stamp
                _log.info("tokens read again: %d are valid", len(self._known))
        except InvalidInput as error:
            _log.warning("%s The tokens of before stay valid.", error)

    def _keep(self, found: list[str]) -> None:
        tokens = [one.encode() for one in (*self._given, *found)]
        self._known = {one: hashlib.sha256(b"cookie " + one).hexdigest() for one in tokens}


def _stamp(file: Path) -> tuple[int, int, int]:
    try:
        about = file.stat()
    except OSError as error:
        raise InvalidInput(f"The token file {file} cannot be read ({error.strerror}).") from error
    return about.st_mtime_ns, about.st_size, about.st_ino


def _read(file: Path) -> list[str]:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"The token file {file} cannot be read ({error}).") from error
    found = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    if not found:
        raise InvalidInput(f"The token file {file} holds no token; write one a line into it.")
    return found
