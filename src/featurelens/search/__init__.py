"""Search: galleries of images and their nearest neighbours."""

from __future__ import annotations

from typing import TYPE_CHECKING

from featurelens.later import later
from featurelens.search.calibration import nothing_matches_below
from featurelens.search.feedback import feedback_vector, search_like
from featurelens.search.gallery import Gallery
from featurelens.search.hit import Hit
from featurelens.search.update import UpdateReport

if TYPE_CHECKING:
    from featurelens.search.duplicates import DuplicateGroup, find_duplicates
    from featurelens.search.prompts import prompt_vectors
    from featurelens.search.regions import RegionHit, search_region
    from featurelens.search.zero_shot import Labelled, ZeroShot, label_images

__all__ = [
    "DuplicateGroup",
    "Gallery",
    "Hit",
    "Labelled",
    "RegionHit",
    "UpdateReport",
    "ZeroShot",
    "feedback_vector",
    "find_duplicates",
    "label_images",
    "nothing_matches_below",
    "prompt_vectors",
    "search_like",
    "search_region",
]

# What a first search does without.
__getattr__ = later(
    __name__,
    {
        "DuplicateGroup": "featurelens.search.duplicates",
        "find_duplicates": "featurelens.search.duplicates",
        "prompt_vectors": "featurelens.search.prompts",
        "RegionHit": "featurelens.search.regions",
        "search_region": "featurelens.search.regions",
        "Labelled": "featurelens.search.zero_shot",
        "ZeroShot": "featurelens.search.zero_shot",
        "label_images": "featurelens.search.zero_shot",
    },
)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
