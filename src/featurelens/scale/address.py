"""Where a table lies, and what its store must be told."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

from featurelens.backbone.cache import cache_folder
from featurelens.images.address import address_of


def split_version(place: str | os.PathLike[str]) -> tuple[str, str | int | None]:
    """The table's address or absolute path, and the version asked for: `cats.lance@7`, `cats.lance@before`.

    >>> split_version("s3://bucket/cats.lance@before")
    ('s3://bucket/cats.lance', 'before')
    """
    text = address_of(place) or os.path.abspath(os.fspath(place))
    head, _, tail = text.rstrip("/").rpartition("/")
    name, at, version = tail.partition("@")
    if not at or not version:
        return text.rstrip("/"), None
    return f"{head}/{name}", int(version) if version.isdigit() else version


def local_path(address: str) -> Path | None:
    """The folder of a table on this machine's disks; None on another store."""
    return Path(address) if address_of(address) is None else None


def storage_options(address: str) -> dict[str, str]:
    """What Lance must be told beside the usual variables: an endpoint without TLS is used only if that is said."""
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""
    if not address.startswith("s3://") or not endpoint:
        return {}
    return {"aws_endpoint": endpoint, "allow_http": str(endpoint.startswith("http://")).lower()}


def local_folder(address: str) -> Path:
    """A folder of this machine for thumbnails and the like of a table; deleting it costs only time."""
    name = hashlib.sha256(address.encode("utf-8", "surrogateescape")).hexdigest()[:16]
    folder = cache_folder() / "galleries" / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:  # a read-only machine, as containers often are
        folder = Path(tempfile.gettempdir()) / f"featurelens-{name}"
        folder.mkdir(mode=0o700, exist_ok=True)
    return folder
