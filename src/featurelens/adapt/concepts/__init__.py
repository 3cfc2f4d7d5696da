"""Concepts: the few directions of which each image's features are made, learned without labels.

Reading, encoding and steering need NumPy only; learning needs torch, which is imported at its first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from featurelens.later import later

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

__getattr__ = later(__name__, _HOME)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
