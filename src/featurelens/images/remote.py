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
from featurelens.images.find import Found, left_out

_ATTEMPTS = 12  # a store that answers 503 is asked again, with growing pauses
_AZURE, _GOOGLE = ("az", "abfs", "abfss"), ("gs", "gcs")


def file_system(address: str) -> tuple[Any, str]:
    """A pyarrow file system and the path in it for an address such as s3://bucket/photos.

    Keys, region and endpoint come from the usual variables (AWS_ACCESS_KEY_ID, AWS_ENDPOINT_URL,
    AZURE_STORAGE_ACCOUNT_NAME ...). Raises InvalidInput for an address without a store, MissingExtra without pyarrow,
    or where the scheme needs a package of fsspec's.
    """
    scheme, _, rest = address.partition("://")
    if scheme not in _AZURE:
        return _file_system(scheme, "", os.getpid()), rest.strip("/")
    top, slash, below = rest.partition("/")
    container, _, host = top.partition("@")
    account = host.partition(".")[0] or os.environ.get("AZURE_STORAGE_ACCOUNT_NAME", "")
    if not account:
        raise InvalidInput(
            f"{address} names no account of Azure. Set AZURE_STORAGE_ACCOUNT_NAME, or give "
            f"abfs://{container}@ACCOUNT.dfs.core.windows.net{slash}{below}."
        )
    return _file_system(scheme, account, os.getpid()), f"{container}/{below}".strip("/")


@lru_cache(maxsize=16)
def _file_system(scheme: str, account: str, process: int) -> Any:
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
    if scheme in _AZURE:  # without key and token pyarrow asks for a login, a managed identity ...
        key, token = os.environ.get("AZURE_STORAGE_ACCOUNT_KEY"), os.environ.get("AZURE_STORAGE_SAS_TOKEN")
        return fs.AzureFileSystem(account, account_key=key, sas_token=None if key else token)
    if scheme in _GOOGLE:
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


def require_remote(address: str) -> None:
    """Raise InvalidInput where nothing lies at an address or it cannot be read."""
    system, path = file_system(address)
    try:
        (found,) = system.get_file_info([path])
    except (OSError, ValueError) as error:
        raise _unread(address, error) from error
    if found.type == import_module("pyarrow.fs").FileType.NotFound:
        raise InvalidInput(
            f"There is nothing at {address}. Give the address of the folder that holds the images."
        )


def find_remote(address: str) -> list[Found]:
    """Every file below an address, in the byte order of the names; but for the folders that are `left_out`.

    Raises InvalidInput where nothing is there or nothing may be read.
    """
    system, root = file_system(address)
    fs = import_module("pyarrow.fs")
    try:
        listed = system.get_file_info(fs.FileSelector(root, recursive=True))
    except (OSError, ValueError) as error:
        raise _unread(address, error) from error
    top = Remote(address)
    found = []
    for info in listed:
        path = info.path.lstrip("/")
        if info.type == fs.FileType.File and path.startswith(root + "/"):
            name = path[len(root) + 1 :]
            if not any(map(left_out, name.split("/")[:-1])):
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
    except (OSError, ValueError, MissingExtra, InvalidInput) as error:
        raise ImageError(f"the file cannot be read: {_short(error)}") from error


def _unread(address: str, error: Exception) -> InvalidInput:
    return InvalidInput(f"{address} cannot be listed: {_short(error)}. Check the address and the keys.")


def _short(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
