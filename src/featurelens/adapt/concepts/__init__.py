"""Concepts: the few directions of which each image's features are made, learned without labels.

Reading, encoding and steering need NumPy only; learning needs torch, which is imported at its first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from featurelens.adapt.concepts.dictionary import Dictionary
    from featurelens.adapt.concepts.found import Concept, Concepts, Exemplar
    from featurelens.adapt.concepts.learn import learn_dictionary
    from featurelens.adapt.concepts.run import find_concepts

__all__ = ["Concept", "Concepts", "Dictionary", "Exemplar", "find_concepts", "learn_dictionary"]

_HOME = {
    "Concept": "featurelens.adapt.concepts.found",
    "Concepts": "featurelens.adapt.concepts.found",
    "Dictionary": "featurelens.adapt.concepts.dictionary",
    "Exemplar": "featurelens.adapt.concepts.found",
    "find_concepts": "featurelens.adapt.concepts.run",
    "learn_dictionary": "featurelens.adapt.concepts.learn",
}


def __getattr__(name: str) -> object:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(
        f"module 'featurelens.adapt.concepts' has no attribute {name!r}; it offers {', '.join(__all__)}"
    )


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
