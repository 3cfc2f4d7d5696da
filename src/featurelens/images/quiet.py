"""Keeps the warnings of Pillow and libtiff from the user while a file is read, safely from several threads."""

from __future__ import annotations

import ctypes
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from threading import Lock

from PIL import _imaging

_lock = Lock()
_inside = 0
_filter: tuple | None = None


@contextmanager
def quiet() -> Iterator[None]:
    """Warnings that Pillow's own modules raise are dropped inside the `with`; all other filters stay.

    `warnings.catch_warnings` restores the whole list of filters and so breaks it when two threads overlap.
    Here the first thread in adds one filter, the last one out removes exactly that one.
    """
    global _inside, _filter
    with _lock:
        if _inside == 0:
            _silence_printing()
            warnings.filterwarnings("ignore", module=r"PIL\.")
            _filter = warnings.filters[0]
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0 and _filter in warnings.filters:
                warnings.filters.remove(_filter)  # type: ignore[attr-defined]


@cache
def _silence_printing() -> None:
    """What would be printed to stderr, once per process; all of it also comes as an exception.

    Without any handler, logging prints Pillow's errors. libtiff, which Pillow carries, prints one line for
    each odd tag and knows no other way than a handler for the whole process.
    """
    logger = logging.getLogger("PIL")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
    try:
        ctypes.CDLL(_imaging.__file__).TIFFSetErrorHandler(None)
    except (OSError, AttributeError, TypeError):  # Pillow was built in a way that hides its libtiff
        return
