"""Search: galleries of images and their nearest neighbours."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

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

_LATER = {  # what a first search does without
    "DuplicateGroup": "duplicates",
    "find_duplicates": "duplicates",
    "prompt_vectors": "prompts",
    "RegionHit": "regions",
    "search_region": "regions",
    "Labelled": "zero_shot",
    "ZeroShot": "zero_shot",
    "label_images": "zero_shot",
}


def __getattr__(name: str) -> object:
    if name in _LATER:
        return getattr(import_module(f"featurelens.search.{_LATER[name]}"), name)
    raise AttributeError(f"module 'featurelens.search' has no attribute {name!r}")
