"""featurelens: extract, see, assess, adapt and search the features of deep networks.

>>> from featurelens import Gallery, load_backbone  # nothing heavy is imported until a name is used
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from featurelens.later import later

if TYPE_CHECKING:
    from featurelens.backbone import Backbone, Spec, load_backbone
    from featurelens.features import Features, extract
    from featurelens.search import Gallery, Hit

__version__ = "0.1.0"
__all__ = ["Backbone", "Features", "Gallery", "Hit", "Spec", "extract", "load_backbone"]

_HOME = {
    "Backbone": "featurelens.backbone",
    "Spec": "featurelens.backbone",
    "load_backbone": "featurelens.backbone",
    "Features": "featurelens.features",
    "extract": "featurelens.features",
    "Gallery": "featurelens.search",
    "Hit": "featurelens.search",
}
_ROOMS = (
    "adapt",
    "assess",
    "backbone",
    "export",
    "features",
    "images",
    "nn",
    "scale",
    "search",
    "see",
    "sounds",
)


_named = later(__name__, _HOME)


def __getattr__(name: str) -> object:
    return import_module(f"featurelens.{name}") if name in _ROOMS else _named(name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_ROOMS})
