"""Export: a backbone as a file for other programs, or as a smaller and faster bundle, with its parity."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from featurelens.export.agreement import Agreement as Agreement
    from featurelens.export.run import Exported as Exported
    from featurelens.export.run import export as export

_WHERE = {"export": "run", "Exported": "run", "Agreement": "agreement"}

__all__ = ["Agreement", "Exported", "export"]


def __getattr__(name: str) -> object:
    if name not in _WHERE:
        raise AttributeError(f"module 'featurelens.export' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"featurelens.export.{_WHERE[name]}"), name)


def __dir__() -> list[str]:
    return list(__all__)
