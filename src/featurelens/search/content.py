"""A file of the tree: read once, hashed, and only then decoded."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

import numpy as np

from featurelens.errors import ImageError
from featurelens.images.decode import decode
from featurelens.images.fit import Fit
from featurelens.images.formats import sniff
from featurelens.shapes import UInt8

_LARGE = 64 << 20
MAX_BYTES = 1 << 30
NOT_HASHED = b""
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)  # never wait for a pipe
_one_large_at_a_time = Lock()


@dataclass(frozen=True)
class Content:
    """What was read: size and time when it was opened, and the hash of the bytes."""

    size: int
    mtime_ns: int
    hash: bytes


@dataclass(frozen=True)
class Picture:
    """A decoded file: its content, and what the image is."""

    content: Content
    width: int
    height: int
    format: str


class NotRead(ImageError):
    """The file could not be read at all; the next update tries again."""


class NotDecoded(ImageError):
    """The file was read but is no image; it is remembered until it changes."""

    def __init__(self, reason: str, content: Content) -> None:
        super().__init__(reason)
        self.content = content


class KnownContent(ImageError):
    """Not a failure: the gallery holds these bytes already, so that nothing needs to be decoded."""

    def __init__(self, content: Content) -> None:
        super().__init__("known already")
        self.content = content


def load(
    path: Path, *, fit: Fit, exact: bool, max_pixels: int, known: Callable[[bytes], bool]
) -> tuple[UInt8[np.ndarray, "row col 3"], Picture]:
    """Pixels at the backbone's size; raises one of the three errors above otherwise."""
    with _one_large_at_a_time if _size(path) > _LARGE else nullcontext():
        data, content = read(path)
        return _judged(data, content, fit=fit, exact=exact, max_pixels=max_pixels, known=known)


def load_bytes(
    data: bytes, mtime_ns: int, *, fit: Fit, exact: bool, max_pixels: int, known: Callable[[bytes], bool]
) -> tuple[UInt8[np.ndarray, "row col 3"], Picture]:
    """`load` for an image that has been read already, from another store or out of a shard."""
    if sniff(data[:256]) is None:
        raise NotDecoded(_reason(data[:256]), Content(len(data), mtime_ns, NOT_HASHED))
    if len(data) > MAX_BYTES:
        raise NotDecoded(_too_large(len(data)), Content(len(data), mtime_ns, NOT_HASHED))
    content = Content(len(data), mtime_ns, _digest(data))
    with _one_large_at_a_time if len(data) > _LARGE else nullcontext():
        return _judged(data, content, fit=fit, exact=exact, max_pixels=max_pixels, known=known)


def _judged(
    data: bytes, content: Content, *, fit: Fit, exact: bool, max_pixels: int, known: Callable[[bytes], bool]
) -> tuple[UInt8[np.ndarray, "row col 3"], Picture]:
    if known(content.hash):
        raise KnownContent(content)
    try:
        decoded = decode(data, fit=fit, exact=exact, max_pixels=max_pixels)
    except ImageError as error:
        raise NotDecoded(error.reason, content) from error
    return decoded.pixels, Picture(content, decoded.width, decoded.height, decoded.format)


def read(path: Path) -> tuple[bytes, Content]:
    """The bytes of an image file and their description; what does not begin like an image is not read on."""
    try:
        with open(os.open(path, _FLAGS), "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise NotRead("it is no regular file any more")
            head = file.read(256)
            unhashed = Content(status.st_size, status.st_mtime_ns, NOT_HASHED)
            if sniff(head) is None:
                raise NotDecoded(_reason(head), unhashed)
            if status.st_size > MAX_BYTES:
                raise NotDecoded(_too_large(status.st_size), unhashed)
            data = head + file.read()
    except OSError as error:
        raise NotRead(f"the file cannot be read: {(error.strerror or 'unknown error').lower()}") from error
    except ValueError as error:
        raise NotRead("the file cannot be read: its name is not a valid one") from error
    return data, Content(status.st_size, status.st_mtime_ns, _digest(data))


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=16).digest()


def _too_large(size: int) -> str:
    return f"the file has {size / 2**30:.1f} GiB; up to {MAX_BYTES >> 30} GiB is read"


def _reason(head: bytes) -> str:
    try:
        decode(head)
    except ImageError as error:
        return error.reason
    return "not an image of a known format"


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except (OSError, ValueError):
        return 0
