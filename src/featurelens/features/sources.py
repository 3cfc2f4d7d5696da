"""What `extract` accepts, as one stream of things to decode: a folder, paths, arrays, PIL images."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from featurelens.errors import InvalidInput
from featurelens.features.labels import Labels
from featurelens.features.store import stamp_file, stamp_of
from featurelens.images.find import find_files
from featurelens.images.tensors import as_array

_KINDS = "paths, arrays or tensors (of images also PIL images)"


@dataclass(frozen=True)
class Source:
    """One image to extract: its id, where its pixels are, its label ("" if none), its stamp."""

    id: str
    image: Any
    label: str
    stamp: str


def sources(
    images: Any,
    labels: Sequence[str] | None,
    *,
    stamped: bool,
    store: Path | None = None,
    things: str = "images",
) -> list[Source]:
    """List the images (or other `things`); InvalidInput for what cannot be a list of them, or labels that do not fit it.

    A folder gives relative names as ids, paths give themselves, everything else its position.
    `stamped`: also hash arrays and bytes, which a store needs to know them again. A `store` in the folder is left out.
    """
    images = as_array(images)
    if isinstance(images, str | os.PathLike):
        path = Path(images)
        if not path.exists():
            raise InvalidInput(f"There is no file or folder {path}. Give a folder of {things}, or a list.")
        found = _folder(path, store) if path.is_dir() else [_one(0, path, stamped)]
    elif isinstance(images, Iterable) and not isinstance(images, bytes):
        if isinstance(images, np.ndarray) and things != "images":
            raise InvalidInput(
                f"This array {list(images.shape)} may be one of the {things} or several. Give a list of them: "
                "[array] if it is one, list(array) if each row is one."
            )
        if isinstance(images, np.ndarray) and images.ndim != 4:
            raise InvalidInput(
                f"An array of images must be [image, row, col, 3]; this one is {list(images.shape)}."
            )
        found = [_one(i, as_array(image), stamped) for i, image in enumerate(images)]
    else:
        raise InvalidInput(f"Expected a folder, or a list of {_KINDS}, not {type(images).__name__}.")
    if labels is None:
        return found
    if len(labels) != len(found):
        raise InvalidInput(f"{len(labels)} labels for {len(found)} {things}; give one label for each.")
    return [Source(s.id, s.image, label, s.stamp) for s, label in zip(found, labels, strict=True)]


def _folder(root: Path, store: Path | None) -> list[Source]:
    label_of = Labels(root)
    return [
        Source(f.name, f.path, label_of(f.name) or "", stamp_of(f.size, f.mtime_ns))
        for f in find_files(root, skip=() if store is None else (store,))
    ]


def _one(number: int, image: Any, stamped: bool) -> Source:
    if isinstance(image, str | os.PathLike):
        return Source(os.fspath(image), image, "", stamp_file(image) if stamped else "")
    return Source(str(number), image, "", _digest(image) if stamped else "")


def _digest(image: Any) -> str:
    if isinstance(image, bytes):
        about, content = "bytes", image
    else:
        array = np.ascontiguousarray(image)
        if array.dtype.hasobject:
            raise InvalidInput(f"An item of the list is {type(image).__name__}; give {_KINDS}.")
        about, content = f"{array.dtype}{array.shape}{getattr(image, 'mode', '')}", array.tobytes()
    return "b2:" + hashlib.blake2b(about.encode() + b"\0" + content, digest_size=16).hexdigest()
