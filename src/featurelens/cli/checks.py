"""The checks behind `featurelens doctor`: each returns what was found, and what to do if it is not well."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import shutil
import sqlite3
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

State = Literal["ok", "note", "broken"]


@dataclass(frozen=True)
class Check:
    """One line of the doctor's report; `todo` is empty when nothing needs doing."""

    what: str
    state: State
    found: str
    todo: str = ""


def run_checks() -> list[Check]:
    """All checks, in the order in which they are shown."""
    return [
        _python(),
        _engine(),
        _torch_pair(),
        *_extras(),
        _processors(),
        _sqlite(),
        _cache(),
        _hub(),
    ]


def _python() -> Check:
    return Check("Python", "ok", f"{platform.python_version()}, {platform.system()} {platform.machine()}")


def _engine() -> Check:
    done = _in_own_process(
        "from featurelens.backbone.engine import load_openvino; ov = load_openvino(); c = ov.Core(); "
        "print(ov.__version__.split('-')[0], c.get_property('CPU', 'FULL_DEVICE_NAME'), sep=', ')"
    )
    if done.returncode:
        return Check(
            "OpenVINO",
            "broken",
            _last_line(done.stderr),
            "Reinstall it: pip install --force-reinstall openvino",
        )
    return Check("OpenVINO", "ok", done.stdout.strip())


def _torch_pair() -> Check:
    torch, vision = _version("torch"), _version("torchvision")
    if torch is None:
        return Check(
            "torch",
            "note",
            "not installed: indexing and searching work without it",
            "For other networks, see, assess and adapt: pip install 'featurelens[lab]'",
        )
    done = _in_own_process(
        "import torch, torchvision; g = torch.cuda.is_available(); "
        "print('CUDA: ' + torch.cuda.get_device_name() if g else 'CPU only')"
    )
    pair = f"torch {torch}, torchvision {vision or 'missing'}"
    if done.returncode:
        return Check("torch", "broken", f"{pair}: {_last_line(done.stderr)}", torch_advice(done.stderr))
    return Check("torch", "ok", f"{pair}, {done.stdout.strip()}")


def torch_advice(stderr: str) -> str:
    """What to do about a torch that does not import, from the text of its error."""
    if "torchvision::nms does not exist" in stderr or "undefined symbol" in stderr:
        return (
            "torch and torchvision are of different builds. Install both in one command, from one place: "
            "pip install --force-reinstall torch torchvision"
        )
    return "Reinstall both in one command: pip install --force-reinstall torch torchvision"


def _extras() -> list[Check]:
    wanted = {
        "timm": ("lab", "timm's networks"),
        "tokenizers": ("clip", "words, with clip:"),
        "open_clip": ("text", "words, with OpenCLIP's models"),
        "soundfile": ("sound", "sounds"),
        "pillow_heif": ("heif", "HEIF photos (iPhone)"),
        "pyarrow": ("table", "Parquet files"),
        "skimage": ("demo", "the demo photos"),
        "lance": ("scale", "galleries in Lance tables"),
        "ray": ("scale", "indexing on many machines"),
    }
    missing = [
        f"{purpose}: pip install 'featurelens[{extra}]'"
        for module, (extra, purpose) in wanted.items()
        if importlib.util.find_spec(module) is None
    ]
    if missing:
        return [
            Check("extras", "note", f"{len(missing)} of {len(wanted)} not installed", "\n→ ".join(missing))
        ]
    return [Check("extras", "ok", "all installed")]


def _processors() -> Check:
    from featurelens.backbone.request import free_cores

    cores, free = os.cpu_count() or 1, free_cores()
    told = f"{free} of {cores} to use" if free != cores else f"{cores}"
    return Check("cores", "ok", told)


def _sqlite() -> Check:
    version = sqlite3.sqlite_version
    if sqlite3.sqlite_version_info < (3, 35):
        return Check(
            "SQLite", "broken", version, "Galleries need SQLite 3.35 or newer (a newer Python has it)."
        )
    return Check("SQLite", "ok", version)


def _cache() -> Check:
    from featurelens.backbone.cache import cache_folder

    folder = cache_folder()
    existing = next(p for p in (folder, *folder.parents) if p.exists())
    free = shutil.disk_usage(existing).free / 1e9
    if not os.access(existing, os.W_OK):
        return Check(
            "cache", "broken", f"{folder} cannot be written", "Set FEATURELENS_CACHE to a folder of yours."
        )
    if free < 1:
        return Check("cache", "note", f"{folder}: {free:.1f} GB free", "Free some disk space.")
    return Check("cache", "ok", f"{folder}, {free:.0f} GB free")


def _hub() -> Check:
    home = Path(os.environ.get("HF_HOME", "~/.cache/huggingface")).expanduser()
    offline = os.environ.get("HF_HUB_OFFLINE", "0").lower() in ("1", "true", "yes", "on")
    if offline:
        return Check("model hub", "note", f"offline by HF_HUB_OFFLINE; only what lies in {home} is used")
    return Check("model hub", "ok", f"downloads go to {home}")


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _in_own_process(code: str) -> subprocess.CompletedProcess[str]:
    """Run in a fresh interpreter: a broken library must not break the doctor."""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else "failed without a word"
