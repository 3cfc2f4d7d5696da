"""Where the images of a table come from: a folder, another store, or containers that hold many each."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from featurelens.errors import GalleryError, InvalidInput
from featurelens.features.labels import METADATA, Labels
from featurelens.images.address import Remote, address_of, place_of
from featurelens.images.find import Found, find_files
from featurelens.images.members import is_container
from featurelens.images.remote import find_remote, open_remote, require_remote

_WILD = "*?["
OnNote = Callable[[str], object]


@dataclass(frozen=True)
class Source:
    """`root` and what is wanted below it: everything (`files`), or the containers that match `patterns`."""

    root: str
    patterns: tuple[str, ...] = ()

    @property
    def holds_containers(self) -> bool:
        """Whether it lists tar shards or Parquet files rather than images."""
        return bool(self.patterns)

    @property
    def place(self) -> Path:
        """The root as a path."""
        return place_of(self.root)

    def require(self) -> None:
        """Raise InvalidInput where nothing lies at the root."""
        if isinstance(self.place, Remote):
            require_remote(self.root)
        elif not self.place.is_dir():
            raise InvalidInput(f"There is no folder {self.root}. Give the folder that holds the images.")

    def list(
        self, *, skip: Sequence[Path] = (), note: OnNote = lambda text: None
    ) -> tuple[list[Found], set[str]]:
        """The files, in the byte order of their names, and the folders that could not be read.

        Raises GalleryError where the root is away or cannot be read.
        """
        unread: set[str] = set()

        def on_error(name: str, reason: str) -> None:
            unread.add(name)
            if len(unread) <= 100:
                note(f"{name}: {reason}; images known from there are kept")

        if isinstance(self.place, Remote):
            found = find_remote(self.root)
        elif not self.place.is_dir():
            raise GalleryError(
                f"The images folder {self.root} is not there. If it lies on a disk or a server, connect it; if it was "
                "moved, open the gallery with images=NEW_FOLDER. Nothing was changed."
            )
        else:
            found = list(find_files(self.place, on_error=on_error, skip=skip))
        if "." in unread:
            raise GalleryError(f"The images folder {self.root} cannot be read. Nothing was changed.")
        if self.patterns:
            found = [f for f in found if any(fnmatchcase(f.name, pattern) for pattern in self.patterns)]
        return sorted(found, key=lambda one: os.fsencode(one.name)), unread

    def labels(
        self, names: Sequence[str], *, note: OnNote = lambda text: None
    ) -> Callable[[str], str | None]:
        """The labels of files, by metadata or class folder; metadata of another store is fetched first."""
        if not isinstance(self.place, Remote):
            return Labels(self.place, on_error=note)
        with tempfile.TemporaryDirectory(prefix="featurelens-labels-") as folder:
            for name in names:
                if name.rpartition("/")[2] in METADATA:
                    target = Path(folder) / name
                    target.parent.mkdir(parents=True, exist_ok=True)
                    with open_remote(f"{self.root}/{name}") as (file, _):
                        target.write_bytes(file.read())
            labels = Labels(folder, on_error=note)
            return {name: labels(name) for name in names}.get


def source_of(images: str | os.PathLike[str] | Sequence[str | os.PathLike[str]]) -> Source:
    """What a user names: a folder, an address, `shards/*.tar`, `photos.parquet`, or several of the last two.

    Raises InvalidInput for a mixture, or for containers without a common folder.

    >>> source_of("s3://bucket/shards/*.tar")
    Source(root='s3://bucket/shards', patterns=('*.tar',))
    """
    several = [images] if isinstance(images, str | os.PathLike) else list(images)
    texts = [address_of(one) or os.path.abspath(os.fspath(one)) for one in several]
    inside = [text for text in texts if is_container(text)]
    if not inside and len(texts) == 1 and not any(c in texts[0] for c in _WILD):
        return Source(texts[0].rstrip("/"))
    if len(inside) != len(texts):
        raise InvalidInput(
            f"Expected one folder or address, or tar shards and Parquet files; got {', '.join(map(str, several[:4]))}."
        )
    root = _common([_fixed(text) for text in texts])
    if not root or root.endswith(":/"):
        raise InvalidInput("The shards have no common folder; index those of each folder by themselves.")
    return Source(root, tuple(sorted(text[len(root) + 1 :] for text in texts)))


def _common(folders: Sequence[str]) -> str:
    """The deepest folder that holds all of them."""
    parts = [folder.rstrip("/").split("/") for folder in folders]
    same = 0
    while all(len(one) > same and one[same] == parts[0][same] for one in parts):
        same += 1
    return "/".join(parts[0][:same])


def _fixed(text: str) -> str:
    """The text up to the folder before its first wildcard, with a '/' at the end."""
    first = min((text.index(c) for c in _WILD if c in text), default=len(text))
    return text[: text.rindex("/", 0, first) + 1]
