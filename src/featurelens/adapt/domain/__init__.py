"""Domain adaptation: from labelled images of one kind to unlabelled ones of another."""

from __future__ import annotations

from featurelens.adapt.domain.adapting import METHODS, Adapting
from featurelens.adapt.domain.criteria import CRITERIA, deep_validation, information, soft_density
from featurelens.adapt.domain.outcome import Adapted
from featurelens.adapt.domain.recolour import recolouring
from featurelens.adapt.domain.run import adapt_domain

__all__ = [
    "CRITERIA",
    "METHODS",
    "Adapted",
    "Adapting",
    "adapt_domain",
    "deep_validation",
    "information",
    "recolouring",
    "soft_density",
]
