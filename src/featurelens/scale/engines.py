"""Lance, Ray and lance-ray, imported nowhere else: late, and told beforehand to report nothing to anybody."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from featurelens.errors import MissingExtra


def load_lance() -> Any:
    """The module `lance`; MissingExtra without it. It takes seconds to import, so only where a table is opened."""
    os.environ.setdefault("LANCE_LOG", "error")
    try:
        return import_module("lance")
    except ImportError as error:
        raise MissingExtra("pylance", "scale", "A gallery in a Lance table") from error


def load_ray() -> Any:
    """The module `ray` with its usage statistics off, whatever was set before; MissingExtra without it."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # or ray warns of its own future
    try:
        return import_module("ray")
    except ImportError as error:
        raise MissingExtra("ray", "scale", "Indexing on several machines (--on ray)") from error


def load_lance_ray() -> Any:
    """The module `lance_ray`; MissingExtra without it."""
    load_lance()
    load_ray()
    try:
        return import_module("lance_ray")
    except ImportError as error:
        raise MissingExtra(
            "lance-ray", "scale", "Building the index on several machines (--on ray)"
        ) from error


@contextmanager
def connected(address: str | None) -> Iterator[Any]:
    """Ray, connected to a cluster (None: the one that runs, or one on this machine), for as long as the `with` runs."""
    ray, mine = load_ray(), False
    if not ray.is_initialized():
        with warnings.catch_warnings():  # the processes that Ray starts never call the Lance of this one
            warnings.filterwarnings("ignore", message="lance is not fork-safe")
            ray.init(address=address, log_to_driver=False, logging_level="error", include_dashboard=False)
        mine = True
    try:
        yield ray
    finally:
        if mine:
            ray.shutdown()
