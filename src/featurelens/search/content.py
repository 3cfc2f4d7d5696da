"""A file of the tree: read once, hashed, and only then decoded."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock
from typing import IO, Any

from featurelens.backbone.reader import Reader
from featurelens.errors import ReadError
from featurelens.images.item import Item

_HEAD = 256
_LARGE, _PIECE = 64 << 20, 1 << 20
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
    """A decoded file: its content, and what the image is (without width and height: none)."""

    content: Content
    width: int
    height: int
    format: str


class NotRead(ReadError):
    """The file could not be read at all; the next update tries again."""


class NotDecoded(ReadError):
    """The file was read but is none that the backbone takes; it is remembered until it changes."""

    def __init__(self, reason: str, content: Content) -> None:
        super().__init__(reason)
        self.content = content


class KnownContent(ReadError):
    """Not a failure: the gallery holds these bytes already, so that nothing needs to be decoded."""

    def __init__(self, content: Content) -> None:
        super().__init__("known already")
        self.content = content


def load(path: Path, *, reader: Reader, known: Callable[[bytes], bool]) -> tuple[Item, Picture]:
    """The parts of a file as the backbone takes them; raises one of the three errors above otherwise.

    While the parts are read only ReadError may still come.
    """
    if reader.piecewise:
        return _in_pieces(path, reader, known)
    with _one_large_at_a_time if _size(path) > _LARGE else nullcontext():
        data, content = read(path, reader)
        return _judged(data, content, reader=reader, known=known)


def load_bytes(
    data: bytes, mtime_ns: int, *, reader: Reader, known: Callable[[bytes], bool]
) -> tuple[Item, Picture]:
    """`load` for a file that has been read already, from another store or out of a shard."""
    unhashed = Content(len(data), mtime_ns, NOT_HASHED)
    if reader.sniff(data[:_HEAD]) is None:
        raise NotDecoded(reader.why_not(data[:_HEAD]), unhashed)
    if len(data) > MAX_BYTES:
        raise NotDecoded(_too_large(len(data)), unhashed)
    content = Content(len(data), mtime_ns, _digest(data))
    with _one_large_at_a_time if len(data) > _LARGE else nullcontext():
        return _judged(data, content, reader=reader, known=known)


def _judged(
    source: Any, content: Content, *, reader: Reader, known: Callable[[bytes], bool]
) -> tuple[Item, Picture]:
    if known(content.hash):
        raise KnownContent(content)
    try:
        item = reader.read(source)
    except ReadError as error:
        raise NotDecoded(error.reason, content) from error
    return replace(item, parts=_told(item, content)), Picture(content, item.width, item.height, item.format)


def _told(item: Item, content: Content) -> Any:
    """The parts; what goes wrong while lazy ones are read is told with the content, too."""
    return item.parts if isinstance(item.parts, tuple) else _lazily(item, content)


def _lazily(item: Item, content: Content) -> Iterator[Any]:
    try:
        yield from item.parts
    except ReadError as error:
        raise NotDecoded(error.reason, content) from error


def _in_pieces(path: Path, reader: Reader, known: Callable[[bytes], bool]) -> tuple[Item, Picture]:
    """A file that its reader opens by itself, a piece at a time; hashed before, a piece at a time."""
    with _opened(path, reader) as (file, head, status):
        digest = hashlib.blake2b(head, digest_size=16)
        while piece := file.read(_PIECE):
            digest.update(piece)
    content = Content(status.st_size, status.st_mtime_ns, digest.digest())
    item, picture = _judged(path, content, reader=reader, known=known)
    return replace(item, parts=_unchanged(item, path, content)), picture


def _unchanged(item: Item, path: Path, content: Content) -> Iterator[Any]:
    yield from item.parts
    try:
        now = path.stat()
    except OSError as error:
        raise NotRead("it was deleted while it was read") from error
    if (now.st_size, now.st_mtime_ns) != (content.size, content.mtime_ns):
        raise NotRead("it was changed while it was read")


def edited(path: Path, stamp: tuple[int, int]) -> bool:
    """Whether a file of this machine has another (size, mtime_ns) by now; of other stores and shards nothing is known."""
    try:
        now = path.stat()
    except (OSError, ValueError):
        return False
    return (now.st_size, now.st_mtime_ns) != stamp


def read(path: Path, reader: Reader) -> tuple[bytes, Content]:
    """The bytes of a file and their description; what does not begin like one that is read is not read on."""
    with _opened(path, reader) as (file, head, status):
        if status.st_size > MAX_BYTES:
            unhashed = Content(status.st_size, status.st_mtime_ns, NOT_HASHED)
            raise NotDecoded(_too_large(status.st_size), unhashed)
        data = head + file.read()
    return data, Content(status.st_size, status.st_mtime_ns, _digest(data))


@contextmanager
def _opened(path: Path, reader: Reader) -> Iterator[tuple[IO[bytes], bytes, os.stat_result]]:
    """The file behind its first bytes, these, and its status; NotRead, or NotDecoded for one that is not read."""
    try:
        with open(os.open(path, _FLAGS), "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise NotRead("it is no regular file any more")
            head = file.read(_HEAD)
            if reader.sniff(head) is None:
                unhashed = Content(status.st_size, status.st_mtime_ns, NOT_HASHED)
                raise NotDecoded(reader.why_not(head), unhashed)
            yield file, head, status
    except OSError as error:
        raise NotRead(f"the file cannot be read: {(error.strerror or 'unknown error').lower()}") from error
    except ValueError as error:
        raise NotRead("the file cannot be read: its name is not a valid one") from error


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=16).digest()


def _too_large(size: int) -> str:
    return f"the file has {size / 2**30:.1f} GiB; up to {MAX_BYTES >> 30} GiB is read"


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except (OSError, ValueError):
        return 0
