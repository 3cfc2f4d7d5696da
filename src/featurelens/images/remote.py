"""Files on other stores: S3, Google Cloud and Azure by pyarrow, every other scheme by fsspec."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from importlib import import_module
from typing import Any
from urllib.parse import urlsplit

from featurelens.errors import ImageError, InvalidInput, MissingExtra
from featurelens.images.address import Remote
from featurelens.images.find import Found

_ATTEMPTS = 12  # a store that answers 503 is asked again, with growing pauses
_WITH_ARROW = ("s3", "gs", "gcs", "abfs", "abfss")


def file_system(address: str) -> tuple[Any, str]:
    """A pyarrow file system and the path in it for an address such as s3://bucket/photos.

    Keys, region and endpoint come from the usual variables (AWS_ACCESS_KEY_ID, AWS_ENDPOINT_URL ...). Raises
    MissingExtra without pyarrow, or where the scheme needs a package of fsspec's.
    """
    scheme, _, rest = address.partition("://")
    return _file_system(scheme, os.getpid()), rest.strip("/")


@lru_cache(maxsize=16)
def _file_system(scheme: str, process: int) -> Any:
    try:
        fs = import_module("pyarrow.fs")
    except ImportError as error:
        raise MissingExtra("pyarrow", "scale", f"Reading from {scheme}://") from error
    if scheme == "s3":
        endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
        parts = urlsplit(endpoint) if endpoint else None
        place = {"endpoint_override": parts.netloc, "scheme": parts.scheme} if parts else {}
        return fs.S3FileSystem(
            region=os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION"),
            retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=_ATTEMPTS),
            anonymous=os.environ.get("AWS_SKIP_SIGNATURE", "").lower() in ("1", "true"),
            **place,
        )
    if scheme in _WITH_ARROW:
        return fs.FileSystem.from_uri(f"{scheme}://")[0]
    try:
        fsspec = import_module("fsspec")
        return fs.PyFileSystem(fs.FSSpecHandler(fsspec.filesystem(scheme)))
    except ImportError as error:
        raise MissingExtra(
            f"that fsspec reads {scheme}:// with", "scale", f"Reading from {scheme}://"
        ) from error
    except ValueError as error:
        raise InvalidInput(f"'{scheme}://' is no store that pyarrow or fsspec knows ({error}).") from error


def find_remote(address: str) -> list[Found]:
    """Every file below an address, in the byte order of the names; hidden folders are left out.

    Raises InvalidInput where nothing is there or nothing may be read.
    """
    system, root = file_system(address)
    fs = import_module("pyarrow.fs")
    try:
        listed = system.get_file_info(fs.FileSelector(root, recursive=True))
    except OSError as error:
        raise InvalidInput(
            f"{address} cannot be listed: {_short(error)}. Check the address and the keys."
        ) from error
    top = Remote(address)
    found = []
    for info in listed:
        path = info.path.lstrip("/")
        if info.type == fs.FileType.File and path.startswith(root + "/"):
            name = path[len(root) + 1 :]
            if not any(part.startswith(".") for part in name.split("/")[:-1]):
                found.append(Found(top / name, name, info.size or 0, info.mtime_ns or 0))
    return sorted(found, key=lambda one: one.name)


@contextmanager
def open_remote(address: str) -> Iterator[tuple[Any, int]]:
    """The file at an address, open for reading at any place, and its size; ImageError where it cannot be read."""
    try:
        system, path = file_system(address)
        with system.open_input_file(path) as file:
            yield file, file.size()
    except FileNotFoundError:
        raise ImageError("there is no such file") from None
    except (OSError, MissingExtra, InvalidInput) as error:
        raise ImageError(f"the file cannot be read: {_short(error)}") from error


def _short(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
