"""Looks at two images and says whether they show the same picture, and how one came from the other."""

from __future__ import annotations

import os
import sqlite3
from collections import OrderedDict
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Literal

from featurelens.errors import ImageError
from featurelens.search.alignment import Alignment, Laid, aligned
from featurelens.search.content import edited
from featurelens.search.prints import print_of

_HELD = 1024  # images ready for comparison, about 0.35 MB each
BY_VECTOR = 0.999  # cosine from which two images whose files cannot be read count as one picture


@dataclass(frozen=True)
class File:
    """An image file of the gallery as it was indexed: its path, size in pixels and bytes, time, and content hash."""

    path: Path
    width: int
    height: int
    bytes: int
    mtime_ns: int
    digest: bytes | None

    @cached_property
    def edited(self) -> bool:
        """Whether it is another file by now: neither its hash nor its proportions are those it had."""
        return edited(self.path, (self.bytes, self.mtime_ns))

    @property
    def gone(self) -> bool:
        """Whether it was read once and is there no more; of what lies within a shard, no more is known than of the shard."""
        try:
            os.lstat(self.path)
        except FileNotFoundError:
            return self.digest is not None
        except (OSError, ValueError):  # below a file: a shard
            return False
        return False

    @property
    def hash(self) -> bytes | None:
        """The hash of its content, if that is known and still what is there."""
        return None if self.digest is None or self.edited else self.digest

    @property
    def rank(self) -> tuple[int, int, str]:
        """Sorts the one to keep first: most pixels, then most bytes."""
        return -self.width * self.height, -self.bytes, str(self.path)


class Comparison:
    """Compares images of a gallery by their pictures; safe to use from several threads."""

    def __init__(self, files: dict[int, File], *, max_pixels: int, threshold: float) -> None:
        self._files, self._max_pixels, self._threshold = files, max_pixels, threshold
        self._laid: OrderedDict[int, Laid | None] = OrderedDict()
        self._found: dict[tuple[int, int], Alignment] = {}  # of copies only: pairs of strangers are many
        self._lock = Lock()

    def copies(
        self, pairs: Iterable[tuple[int, int, float]], pool: ThreadPoolExecutor
    ) -> list[tuple[int, int]]:
        """Those of the pairs (id, other id, cosine) that show the same picture."""
        pairs = list(pairs)
        good = pool.map(lambda pair: self.same(*pair), pairs)
        return [(a, b) for (a, b, _), same in zip(pairs, good, strict=True) if same]

    def same(self, a: int, b: int, cosine: float) -> bool:
        """Whether two images show the same picture; where one cannot be read, their vectors decide."""
        found = self._alignment(a, b)
        return cosine >= BY_VECTOR if found == "unreadable" else found != "strangers"

    def alike(self, a: int, b: int) -> bool:
        """Whether two images that were found to belong together show the same picture themselves."""
        digest = self._files[a].hash
        return (bool(digest) and digest == self._files[b].hash) or self.same(a, b, BY_VECTOR)

    def how(self, keep: int, copy: int) -> str:
        """What the copy is beside the one to keep, in plain words."""
        first, second = self._files[keep], self._files[copy]
        if first.hash and first.hash == second.hash:
            return "same bytes"
        found = self._alignment(keep, copy)
        if found == "unreadable":
            return "same by its vector"
        if found == "strangers":
            return "a copy of another copy"
        return ", ".join(_changes(found, first, second)) or "same picture, other file"

    def _alignment(self, a: int, b: int) -> Alignment | Literal["strangers", "unreadable"]:
        pair = min(a, b), max(a, b)
        found = self._found.get(pair)
        if found is None:
            one, other = (self._of(image) for image in pair)
            if one is None or other is None:
                return "unreadable"
            found = aligned(one, other, self._threshold)
            if found is None:
                return "strangers"
            self._found[pair] = found
        return found if pair == (a, b) else replace(found, inner=1 - found.inner)

    def _of(self, one: int) -> Laid | None:
        with self._lock:
            if one in self._laid:
                self._laid.move_to_end(one)
                return self._laid[one]
        file = self._files[one]
        try:
            size = (file.width, file.height) if file.width and file.height and not file.edited else None
            laid = Laid(print_of(file.path, size=size, max_pixels=self._max_pixels))
        except ImageError:
            laid = None
        with self._lock:
            self._laid[one] = laid
            while len(self._laid) > _HELD:
                self._laid.popitem(last=False)
        return laid


def files_of(connection: sqlite3.Connection, root: Path) -> dict[int, File]:
    """Every indexed image by id."""
    query = "SELECT id, path, width, height, size, mtime_ns, hash FROM images WHERE status = 'indexed'"
    return {
        one: File(root / os.fsdecode(path), width or 0, height or 0, size, mtime_ns, digest or None)
        for one, path, width, height, size, mtime_ns, digest in connection.execute(query)
    }


def _changes(found: Alignment, first: File, second: File) -> list[str]:
    left, top, right, bottom = found.box
    share = (right - left) * (bottom - top)
    words = ["mirrored"] if found.mirrored else []
    if share < 0.93:
        words.append(
            f"cropped to {share:.0%}" if found.inner == 1 else f"a wider view ({1 / share:.1f} times)"
        )
    elif abs(first.width * second.height / max(1, first.height * second.width) - 1) > 0.03:
        words.append("stretched")
    if "stretched" in words:
        return words
    scale = (second.width * second.height) / max(1, first.width * first.height)
    expected = 1.0 if share >= 0.93 else share if found.inner == 1 else 1 / share
    if not 0.9 < scale / expected < 1.1:
        words.append("smaller" if scale < expected else "larger")
    return words
