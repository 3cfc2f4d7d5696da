"""See: what a network has learned, and what made it answer.

Names are loaded when they are used; importing this imports nothing heavy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from featurelens.later import later

if TYPE_CHECKING:
    from featurelens.see.channel_maps import FeatureMaps, feature_maps
    from featurelens.see.depths import Hierarchy, hierarchy, stage_layers
    from featurelens.see.explanation import Explanation, explain, explain_many
    from featurelens.see.match import Match, similarities, similarity
    from featurelens.see.maximization import maximize
    from featurelens.see.objectives import (
        Objective,
        channel,
        direction,
        diverse,
        embedding_like,
        logit,
        neuron,
    )
    from featurelens.see.pictures import Maximized, Picture
    from featurelens.see.principal import principal_colours
    from featurelens.see.spectrum import Spectrum, natural_spectrum, spectrum_of
    from featurelens.see.targets import Target, class_score, likeness, scalar
    from featurelens.see.transforms import Views
    from featurelens.see.unit_pages import write_pages
    from featurelens.see.unit_pass import Units, units
    from featurelens.see.worded import TextMatch, text_similarity

__all__ = [
    "Explanation",
    "FeatureMaps",
    "Hierarchy",
    "Match",
    "Maximized",
    "Objective",
    "Picture",
    "Spectrum",
    "Target",
    "TextMatch",
    "Units",
    "Views",
    "channel",
    "class_score",
    "direction",
    "diverse",
    "embedding_like",
    "explain",
    "explain_many",
    "feature_maps",
    "hierarchy",
    "likeness",
    "logit",
    "maximize",
    "natural_spectrum",
    "neuron",
    "principal_colours",
    "scalar",
    "similarities",
    "similarity",
    "spectrum_of",
    "stage_layers",
    "text_similarity",
    "units",
    "write_pages",
]

# No file of this room bears the name of a function that is offered here: importing the file would hide it.
_HOME = {
    "Explanation": "featurelens.see.explanation",
    "FeatureMaps": "featurelens.see.channel_maps",
    "Hierarchy": "featurelens.see.depths",
    "Match": "featurelens.see.match",
    "Maximized": "featurelens.see.pictures",
    "Objective": "featurelens.see.objectives",
    "Picture": "featurelens.see.pictures",
    "Spectrum": "featurelens.see.spectrum",
    "Target": "featurelens.see.targets",
    "TextMatch": "featurelens.see.worded",
    "Units": "featurelens.see.unit_pass",
    "Views": "featurelens.see.transforms",
    "channel": "featurelens.see.objectives",
    "class_score": "featurelens.see.targets",
    "direction": "featurelens.see.objectives",
    "diverse": "featurelens.see.objectives",
    "embedding_like": "featurelens.see.objectives",
    "explain": "featurelens.see.explanation",
    "explain_many": "featurelens.see.explanation",
    "feature_maps": "featurelens.see.channel_maps",
    "hierarchy": "featurelens.see.depths",
    "likeness": "featurelens.see.targets",
    "logit": "featurelens.see.objectives",
    "maximize": "featurelens.see.maximization",
    "natural_spectrum": "featurelens.see.spectrum",
    "neuron": "featurelens.see.objectives",
    "principal_colours": "featurelens.see.principal",
    "scalar": "featurelens.see.targets",
    "similarities": "featurelens.see.match",
    "similarity": "featurelens.see.match",
    "spectrum_of": "featurelens.see.spectrum",
    "stage_layers": "featurelens.see.depths",
    "text_similarity": "featurelens.see.worded",
    "units": "featurelens.see.unit_pass",
    "write_pages": "featurelens.see.unit_pages",
}

__getattr__ = later(__name__, _HOME)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
