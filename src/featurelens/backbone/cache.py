"""Where exported networks are kept, and how one is found again without importing torch."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from featurelens.backbone.bundle import read_bundle
from featurelens.backbone.protocol import Spec
from featurelens.backbone.request import Request
from featurelens.errors import BackboneError

_LIBRARIES = ("timm", "torchvision", "torch")


def cache_folder() -> Path:
    """FEATURELENS_CACHE, or the platform's folder for caches; deleting it costs only time."""
    own = os.environ.get("FEATURELENS_CACHE")
    if own:
        return Path(own).expanduser()
    from platformdirs import user_cache_path

    return user_cache_path("featurelens", appauthor=False)


def find(request: Request) -> Path | None:
    """The bundle that an earlier request like this one left, unless what it was made from has changed.

    Files given by path must have the same size and time; the hub's snapshot and the libraries' versions must
    be the same where they are there at all (on a machine without torch there is nothing to compare).
    """
    try:
        entry = json.loads(_entry_of(request).read_text(encoding="utf-8"))
        folder = cache_folder() / "bundles" / entry["bundle"]
        if _changed(entry["source"], _source(request, entry["source"].get("repo"))):
            return None
        read_bundle(folder)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, BackboneError):
        return None
    return folder


def folder_for(request: Request, spec: Spec) -> Path:
    """Where the bundle of a network with this spec belongs: one folder per set of weights and preprocessing."""
    bundles = cache_folder() / "bundles"
    same = sorted(bundles.glob(f"*-{spec.fingerprint}"))
    return same[0] if same else bundles / f"{_plain(request.rest)}-{spec.fingerprint}"


def remember(request: Request, folder: Path, *, repo: str | None) -> None:
    """Let `find` answer this request with `folder`; `repo` is the hub repository that the weights are from."""
    entry = {"bundle": folder.name, "request": _wording(request), "source": _source(request, repo)}
    file = _entry_of(request)
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(
        "w", dir=file.parent, prefix=".", suffix=".tmp", encoding="utf-8", delete=False
    ) as part:
        json.dump(entry, part, indent=1)
    os.replace(part.name, file)


def remembered() -> set[str]:
    """The names that `find` knows, as users type them; a listing for people, not checked for changes."""
    names = set()
    for file in (cache_folder() / "names").glob("*.json"):
        try:
            names.add(str(json.loads(file.read_text(encoding="utf-8"))["request"]["name"]))
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return names


def versions() -> dict[str, str | None]:
    """The installed versions of the libraries that a network comes from; None for what is not there."""
    return {name: _version(name) for name in _LIBRARIES}


def gpu_driver_present() -> bool:
    """Whether an NVIDIA driver shows itself; cheap, so that torch is not imported to find none."""
    return any(Path(p).exists() for p in ("/dev/nvidiactl", "/dev/dxg")) or os.name == "nt"


def _entry_of(request: Request) -> Path:
    key = hashlib.sha256(json.dumps(_wording(request), sort_keys=True).encode()).hexdigest()[:16]
    return cache_folder() / "names" / f"{_plain(request.rest)}-{key}.json"


def _wording(request: Request) -> dict[str, Any]:
    path = request.rest if request.scheme != "local-dir" else str(Path(request.rest).resolve())
    return {
        "name": request.name,
        "scheme": request.scheme,
        "path": path,
        "trained": request.pretrained,
        "size": request.size,
        "mean": request.mean,
        "std": request.std,
        "weights": str(request.weights.resolve()) if request.weights else None,
    }


def _source(request: Request, repo: str | None) -> dict[str, Any]:
    files = [request.weights] if request.weights else []
    if request.scheme in ("local-dir", "openclip"):
        files += sorted(p for p in Path(request.rest).glob("*") if p.is_file())
    return {
        "files": [_stamp(f) for f in files],
        "versions": versions(),
        "repo": repo,
        "snapshot": _snapshot(repo) if repo else None,
    }


def _changed(then: dict[str, Any], now: dict[str, Any]) -> bool:
    if then["files"] != now["files"]:
        return True
    if now["snapshot"] and now["snapshot"] != then["snapshot"]:
        return True
    return any(now["versions"][name] not in (None, then["versions"].get(name)) for name in _LIBRARIES)


def _snapshot(repo: str) -> str | None:
    """The commit of a hub repository that is current on this machine."""
    from featurelens.backbone.hub import hub_folder

    try:
        return (hub_folder() / f"models--{repo.replace('/', '--')}" / "refs" / "main").read_text().strip()
    except OSError:
        return None


def _stamp(file: Path) -> list[object]:
    try:
        found = file.stat()
    except OSError:
        return [file.name]
    return [file.name, found.st_size, found.st_mtime_ns]


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _plain(name: str) -> str:
    last = name.rstrip("/").split("/")[-1]
    return "".join(c if c.isalnum() or c in "._-" else "-" for c in last)[:60]
