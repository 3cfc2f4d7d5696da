"""On this machine's disks: what a commit of Lance wrote is brought to the platter, and a torn one put aside."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from featurelens.durable import sync_folder

_ORDER = (
    "data",
    "_deletions",
    "_indices",
    "_transactions",
    "_versions",
)  # the manifest last: it names the others
_END = b"LANC"
_SLACK_NS = 2_000_000_000  # file systems stamp files with a coarse clock


class Syncer:
    """Knows until when everything below a table has been synced."""

    def __init__(self, table: Path) -> None:
        self._table = table
        self._since = time.time_ns() - _SLACK_NS

    def __call__(self) -> None:
        """Fsync every file that was written since the last call, then the folders that hold them."""
        started = time.time_ns() - _SLACK_NS
        for name in _ORDER:
            _sync_new(self._table / name, self._since)
            if name == _ORDER[-2]:
                sync_folder(self._table)
        self._since = started


def _sync_new(folder: Path, since: int) -> bool:
    """Sync what is new in a folder and below, then the folder; whether anything was."""
    new = False
    try:
        entries = list(os.scandir(folder))
    except FileNotFoundError:
        return False
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            new |= _sync_new(Path(entry.path), since)
            continue
        try:
            if entry.stat().st_mtime_ns >= since:
                new = True
                handle = os.open(entry.path, os.O_RDONLY)
                try:
                    os.fsync(handle)
                finally:
                    os.close(handle)
        except FileNotFoundError:
            continue  # cleaned up by another writer meanwhile
    if new:
        sync_folder(folder)
    return new


def repaired(table: Path, opened: Any) -> tuple[Any, list[str]]:
    """The newest version of a table on this machine that is whole, and the manifests that were put aside.

    `opened()` opens the newest version. A power cut may leave its manifest, or a file that it names, cut short or full
    of zeros: the manifest is renamed to `*.torn` and the version before counts again.
    """
    aside: list[str] = []
    while True:
        manifests = newest_first(table)
        dataset, broken = None, manifests[0] if manifests and not _is_whole(manifests[0]) else None
        if broken is None:
            dataset = opened()
            broken = torn_file(table, dataset, versions=manifests)
        if broken is None:
            return dataset, aside
        if len(manifests) < 2:
            raise OSError(f"{broken.name} is cut short, and there is no version before it")
        os.replace(manifests[0], manifests[0].with_name(manifests[0].name + ".torn"))
        sync_folder(table / "_versions")
        aside.append(manifests[0].name)


def newest_first(table: Path) -> list[Path]:
    """The manifests of a table, the newest first; Lance counts down from 2^64 in their names."""
    found = [path for path in (table / "_versions").glob("*.manifest") if path.stem.isdigit()]
    return sorted(found, key=lambda path: int(path.stem) if len(path.stem) == 20 else -int(path.stem))


def torn_file(table: Path, dataset: Any, *, versions: list[Path]) -> Path | None:
    """A data file of the newest version that is missing or shorter than its manifest says; None if all are whole.

    Only files as new as the manifest are looked at: the others were whole when the version before was read.
    """
    if not versions:
        return None
    since = versions[0].stat().st_mtime_ns - 60_000_000_000
    for fragment in dataset.get_fragments():
        for file in fragment.data_files():
            path = table / "data" / str(file.path)
            size = getattr(file, "file_size_bytes", None)
            try:
                status = path.stat()
            except FileNotFoundError:
                return path
            if status.st_mtime_ns >= since and size and status.st_size < size:
                return path
    return None


def _is_whole(manifest: Path) -> bool:
    """Whether a manifest ends as Lance ends one; zeros in its place would be read as an empty table."""
    with open(manifest, "rb") as file:
        file.seek(0, os.SEEK_END)
        file.seek(max(0, file.tell() - len(_END)))
        return file.read() == _END
