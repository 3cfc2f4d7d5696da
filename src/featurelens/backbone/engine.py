"""OpenVINO, imported without its telemetry: nothing that featurelens runs tells anybody that it runs."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from threading import RLock
from typing import Any

_TELEMETRY = "openvino_telemetry"
_lock = RLock()


def load_openvino() -> Any:
    """The module `openvino`. Its own import sends an event to a web service (seen with 2026.4); this one does not.

    A program that has imported openvino before us has decided that for itself.

    >>> load_openvino().__name__
    'openvino'
    """
    with _lock:
        if "openvino" in sys.modules:
            return sys.modules["openvino"]
        with without_telemetry():
            return import_module("openvino")


@contextmanager
def without_telemetry() -> Iterator[None]:
    """Inside, openvino_telemetry counts as not installed: its users have a stub for that case."""
    with _lock:
        before = sys.modules.get(_TELEMETRY)
        sys.modules[_TELEMETRY] = None  # type: ignore[assignment]
        try:
            yield
        finally:
            del sys.modules[_TELEMETRY]
            if before is not None:
                sys.modules[_TELEMETRY] = before
