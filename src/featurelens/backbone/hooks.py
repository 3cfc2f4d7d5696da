"""Hooks that belong to one thread."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any


def mine(hook: Callable[..., Any]) -> Callable[..., Any]:
    """The hook, deaf to passes that other threads make through the same network.

    >>> mine(lambda x: x + 1)(1)
    2
    """
    owner = threading.get_ident()
    return lambda *args: hook(*args) if threading.get_ident() == owner else None
