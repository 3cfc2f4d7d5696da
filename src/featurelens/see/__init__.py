"""See: what a network has learned, and what made it answer.

Names are loaded when they are used; importing this imports nothing heavy.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    pass

# Add a name in three places. No file of this room bears the name of a function offered here: importing such a file would hide it.
_HOME: dict[str, str] = {}

__all__: list[str] = []


def __getattr__(name: str) -> object:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(
        f"module 'featurelens.see' has no attribute {name!r}; it offers {', '.join(__all__)}"
    )


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
