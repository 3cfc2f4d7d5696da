"""Where exported networks are kept, and how one is found again without importing torch."""

from __future__ import annotations

import hashlib
import json
import os
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from featurelens.backbone.bundle import MODEL, SPEC
from featurelens.backbone.request import Request

_FORMAT = 1


def cache_folder() -> Path:
    """FEATURELENS_CACHE, or the platform's folder for caches; deleting it costs only time."""
    own = os.environ.get("FEATURELENS_CACHE")
    if own:
        return Path(own).expanduser()
    from platformdirs import user_cache_path

    return user_cache_path("featurelens", appauthor=False)


def folder_for(request: Request) -> Path:
    """The bundle folder of this request: another file, size, normalisation or library version is another folder."""
    decisive = {
        "format": _FORMAT,
        "scheme": request.scheme,
        "name": request.rest,
        "trained": request.pretrained,
        "size": request.size,
        "mean": request.mean,
        "std": request.std,
        "weights": _stamp(request.weights) if request.weights else None,
        "folder": [_stamp(f) for f in _files_of(request)],
        "versions": [_version(p) for p in ("timm", "torchvision")],
    }
    key = hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()[:16]
    plain = "".join(c if c.isalnum() or c in "._-" else "-" for c in request.rest.rstrip("/").split("/")[-1])
    return cache_folder() / "bundles" / f"{plain[:60]}-{key}"


def holds_bundle(folder: Path) -> bool:
    """Whether a whole bundle lies there (bundles are renamed into place, so both files are or none)."""
    return (folder / MODEL).is_file() and (folder / SPEC).is_file()


def gpu_driver_present() -> bool:
    """Whether an NVIDIA driver shows itself; cheap, so that torch is not imported to find none."""
    return any(Path(p).exists() for p in ("/dev/nvidiactl", "/dev/dxg")) or os.name == "nt"


def _files_of(request: Request) -> list[Path]:
    if request.scheme != "local-dir":
        return []
    return sorted(p for p in Path(request.rest).expanduser().glob("*") if p.is_file())


def _stamp(file: Path) -> list[object]:
    try:
        found = file.expanduser().stat()
    except OSError:
        return [str(file)]
    return [str(file.expanduser().resolve()), found.st_size, found.st_mtime_ns]


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
