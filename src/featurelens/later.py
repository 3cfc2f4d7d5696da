"""Packages whose names are imported at their first use, so that none waits for what it does not need."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module


def later(package: str, homes: Mapping[str, str]) -> Callable[[str], object]:
    """The `__getattr__` (PEP 562) of a package that offers each of these names from the module that is its home.

    Raises AttributeError, which lists what the package offers, for any other name.
    """

    def find(name: str) -> object:
        if name in homes:
            return getattr(import_module(homes[name]), name)
        offered = ", ".join(sys.modules[package].__all__)
        raise AttributeError(f"module '{package}' has no attribute {name!r}; it offers {offered}")

    return find
