"""Images inside other files: members of tar shards (WebDataset), cells of Parquet files."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

from featurelens.errors import ImageError, MissingExtra
from featurelens.images.address import Remote
from featurelens.images.remote import open_remote

ENDINGS = (".tar", ".parquet")
_NOT_IMAGES = (".json", ".cls", ".txt", ".caption", ".index", ".npy", ".pyd", ".csv", ".md")
_LABELS = ("label", "class", "category")
_MOST = 1 << 30  # bytes of one member
_MOST_BESIDE = 1 << 20  # bytes of a .json or .cls
_MOST_WAITING = 64 << 20  # bytes of members of one sample
_READ = 4 << 20  # bytes at once: on another store each read is a request


@dataclass(frozen=True)
class Member:
    """An image inside a container: its name in there, its bytes, its label; without bytes the `problem` says why."""

    name: str
    data: bytes | None
    label: str | None = None
    problem: str = ""


def is_container(name: str) -> bool:
    """Whether a file of this name holds many images.

    >>> is_container("shards/0001.tar"), is_container("cat.jpg")
    (True, False)
    """
    return name.lower().endswith(ENDINGS)


def split_member(path: Path) -> tuple[Path, str] | None:
    """The container and the name inside it that a path means; None if no folder of it is a container's name."""
    for parent in path.parents:
        if is_container(parent.name):
            return parent, path.relative_to(parent).as_posix()
    return None


def members(container: Path) -> Iterator[Member]:
    """Every image of a container, in its order. Raises ImageError where the container itself is broken.

    A tar shard gives its regular files, but not what WebDataset keeps beside an image (.json, .cls, .txt): a
    `.cls`, or `label` in the `.json`, is the label. A Parquet file gives its column of images (bytes, or structs with
    `bytes` as Hugging Face datasets writes them), named by row number.
    """
    try:
        with _opened(container) as file:
            yield from _of_parquet(file) if container.name.lower().endswith(".parquet") else _of_tar(file)
    except (tarfile.TarError, OSError, ValueError, EOFError) as error:
        raise ImageError(f"the file is damaged or cut short: {str(error)[:200]}") from error


def read_member(container: Path, name: str) -> bytes:
    """The bytes of one image of a container; ImageError if it is not in there."""
    for member in members(container):
        if member.name == name and member.data is not None:
            return member.data
    raise ImageError(f"{container.name} holds no image named {name}")


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    if isinstance(path, Remote):
        with open_remote(str(path)) as (file, _):
            yield file
    else:
        with open(path, "rb") as file:
            yield file


def _of_tar(file: Any) -> Iterator[Member]:
    """An image's label may come before or after it, so a member waits for the next sample's name.

    WebDataset's samples end at the first dot; of frame.0001.jpg, frame.0002.jpg ... as many wait as fit.
    """
    waiting: list[Member] = []
    key, label = "", None
    with tarfile.open(fileobj=file, mode="r|*", bufsize=_READ) as tar:
        for info in tar:
            name = info.name.removeprefix("./")
            ending = _ending(name)
            if not info.isreg() or name.rpartition("/")[2].startswith("."):
                continue
            if (stem := name[: len(name) - len(ending)]) != key:
                yield from (replace(one, label=label) for one in waiting)
                waiting, key, label = [], stem, None
            if sum(len(one.data or b"") for one in waiting) > _MOST_WAITING:
                yield from (replace(one, label=label) for one in waiting)
                waiting = []
            if ending.lower().endswith(_NOT_IMAGES):
                if info.size <= _MOST_BESIDE:
                    label = label or _label(name, _read(tar, info))
            elif info.size > _MOST:
                size = f"{info.size / 2**30:.1f} GiB"
                waiting.append(Member(name, None, problem=f"it has {size}; up to {_MOST >> 30} GiB is read"))
            else:
                waiting.append(Member(name, _read(tar, info)))
    yield from (replace(one, label=label) for one in waiting)


def _read(tar: tarfile.TarFile, info: tarfile.TarInfo) -> bytes:
    opened = tar.extractfile(info)
    data = opened.read() if opened is not None else b""
    if len(data) < info.size:
        raise ValueError(f"{info.name} ends after {len(data):,} of {info.size:,} bytes")
    return data


def _ending(name: str) -> str:
    """All from the first dot of the last part: what WebDataset takes for the kind."""
    base = name.rpartition("/")[2]
    return base[base.index(".") :] if "." in base else ""


def _label(name: str, data: bytes) -> str | None:
    try:
        if name.endswith(".cls"):
            return data.decode().strip() or None
        if name.endswith(".json"):
            found = json.loads(data)
            return next((str(found[k]) for k in _LABELS if found.get(k) is not None), None)
    except (ValueError, AttributeError, RecursionError):
        return None
    return None


def _of_parquet(file: Any) -> Iterator[Member]:
    try:
        pa, pq = import_module("pyarrow"), import_module("pyarrow.parquet")
    except ImportError as error:
        raise MissingExtra("pyarrow", "scale", "Reading Parquet") from error
    try:
        opened = pq.ParquetFile(file)
        schema = opened.schema_arrow
        column = _image_column(pa, schema)
        if column is None:
            raise ValueError(f"no column holds images as bytes; it has {', '.join(schema.names)}")
        label = next((name for name in _LABELS if name in schema.names), None)
        row = 0
        for batch in opened.iter_batches(64, columns=[column, *([label] if label else [])]):
            cells = batch.column(0).to_pylist()
            labels = batch.column(1).to_pylist() if label else [None] * len(cells)
            for cell, text in zip(cells, labels, strict=True):
                data = cell.get("bytes") if isinstance(cell, dict) else cell
                problem = "" if data else "the cell is empty"
                yield Member(f"{row:09d}", data or None, None if text is None else str(text), problem)
                row += 1
    except pa.ArrowException as error:
        raise ValueError(str(error)) from error


def _image_column(pa: Any, schema: Any) -> str | None:
    """The column `image` or `bytes` or `jpg`, else the first one, that holds bytes."""

    def holds(kind: Any) -> bool:
        if pa.types.is_struct(kind):
            return any(kind.field(i).name == "bytes" for i in range(kind.num_fields))
        return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)

    good = [field.name for field in schema if holds(field.type)]
    first = [name for name in ("image", "img", "bytes", "jpg", "png") if name in good]
    return (first or good or [None])[0]
