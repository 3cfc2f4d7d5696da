"""Every regular file under a folder, in a fixed order, through links but never in circles."""

from __future__ import annotations

import os
import stat
from collections import deque
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from featurelens.errors import InvalidInput

GALLERY_FOLDER = ".featurelens"
RESULTS_FOLDER = "featurelens-out"  # where commands write pictures, unless told where
OnError = Callable[[str, str], None]


@dataclass(frozen=True)
class Found:
    """A regular file: where it is, its name below the root ('/' between folders), bytes, time of change."""

    path: Path
    name: str
    size: int
    mtime_ns: int


def find_files(
    root: str | os.PathLike[str], *, on_error: OnError | None = None, skip: Collection[Path] = ()
) -> Iterator[Found]:
    """Yield every regular file below `root`, images or not; folders in the byte order of their names.

    Names that are not UTF-8 come in `os.fsdecode` form. Links to files and folders are followed:
    each real folder is read once, under its real name where that lies below `root`, else under its
    first link. Folders that are `left_out` and those in `skip` are not entered, and no file
    is opened. What cannot be read goes to `on_error(name, reason)` and stops nothing.
    Raises InvalidInput when `root` is not a folder.

    >>> [found.name for found in find_files("tests/fixtures")]  # doctest: +SKIP
    ['drawn/circle.png', 'drawn/square.png']
    """
    top = os.fspath(root)
    if not os.path.isdir(top):
        raise InvalidInput(f"'{top}' is not a folder. Give the folder that holds the images.")
    return _walk(top, on_error or (lambda name, reason: None), skip)


def _walk(top: str, on_error: OnError, skip: Collection[Path]) -> Iterator[Found]:
    seen = {identity for identity in map(_identity, skip) if identity}
    links: deque[tuple[str, str]] = deque()
    yield from _tree(top, "", seen, links, on_error)
    while links:  # after the real folders, so that these keep their real names
        path, name = links.popleft()
        yield from _tree(path, name, seen, links, on_error)


def _tree(
    path: str, name: str, seen: set[tuple[int, int]], links: deque[tuple[str, str]], on_error: OnError
) -> Iterator[Found]:
    """One folder and its real subfolders, depth first, without recursion; links to folders are put aside."""
    stack: list[Iterator[os.DirEntry[str]]] = []
    names = [name]
    if (entries := _enter(path, name, seen, on_error)) is not None:
        stack.append(entries)
    while stack:
        entry = next(stack[-1], None)
        if entry is None:
            stack.pop()
            names.pop()
            continue
        below = f"{names[-1]}/{entry.name}" if names[-1] else entry.name
        try:
            status = entry.stat()
            is_link = entry.is_symlink()
        except OSError as error:
            on_error(below, _reason(error))
            continue
        if stat.S_ISREG(status.st_mode):
            yield Found(Path(entry.path), below, status.st_size, status.st_mtime_ns)
        elif stat.S_ISDIR(status.st_mode) and not left_out(entry.name):
            if is_link:
                links.append((entry.path, below))
            elif (entries := _enter(entry.path, below, seen, on_error)) is not None:
                stack.append(entries)
                names.append(below)


def _enter(
    path: str, name: str, seen: set[tuple[int, int]], on_error: OnError
) -> Iterator[os.DirEntry[str]] | None:
    identity = _identity(path)
    if identity in seen:
        return None
    if identity is not None:
        seen.add(identity)
    try:
        with os.scandir(path) as entries:
            return iter(sorted(entries, key=lambda entry: os.fsencode(entry.name)))
    except OSError as error:
        on_error(name or ".", _reason(error))
        return None


def _identity(path: str | os.PathLike[str]) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _reason(error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return "a link to something that does not exist, or it was deleted just now"
    if isinstance(error, PermissionError):
        return "permission denied"
    return (error.strerror or "cannot be read").lower()


def left_out(folder: str) -> bool:
    """Whether no walk reads a folder of this name: hidden ones (also `.featurelens`), and what our commands drew.

    >>> left_out(".git"), left_out("featurelens-out"), left_out("out")
    (True, True, False)
    """
    return folder.startswith(".") or folder == RESULTS_FOLDER


def is_below(name: str, folders: set[str]) -> bool:
    """Whether a path (relative, with slashes) is one of these folders or lies in one.

    >>> is_below("a/b/c.jpg", {"a/b"}), is_below("a/bc.jpg", {"a/b"})
    (True, False)
    """
    while folders and name:
        if name in folders:
            return True
        name = name.rpartition("/")[0]
    return False
