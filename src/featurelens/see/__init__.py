"""See: what a network has learned, and what made it answer.

Names are loaded when they are used; importing this imports nothing heavy.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from featurelens.see.explanation import Explanation, explain, explain_many
    from featurelens.see.match import Match, similarities, similarity
    from featurelens.see.targets import Target, class_score, likeness, scalar

__all__ = [
    "Explanation",
    "Match",
    "Target",
    "class_score",
    "explain",
    "explain_many",
    "likeness",
    "scalar",
    "similarities",
    "similarity",
]

# No file of this room bears the name of a function that is offered here: importing the file would hide it.
_HOME = {
    "Explanation": "featurelens.see.explanation",
    "Match": "featurelens.see.match",
    "Target": "featurelens.see.targets",
    "class_score": "featurelens.see.targets",
    "explain": "featurelens.see.explanation",
    "explain_many": "featurelens.see.explanation",
    "likeness": "featurelens.see.targets",
    "scalar": "featurelens.see.targets",
    "similarities": "featurelens.see.match",
    "similarity": "featurelens.see.match",
}


def __getattr__(name: str) -> object:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(
        f"module 'featurelens.see' has no attribute {name!r}; it offers {', '.join(__all__)}"
    )


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
