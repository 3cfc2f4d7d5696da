"""Search: galleries of images and their nearest neighbours."""

from __future__ import annotations

from featurelens.search.calibration import nothing_matches_below
from featurelens.search.duplicates import DuplicateGroup, find_duplicates
from featurelens.search.feedback import feedback_vector, search_like
from featurelens.search.gallery import Gallery
from featurelens.search.hit import Hit
from featurelens.search.regions import RegionHit, search_region
from featurelens.search.update import UpdateReport

__all__ = [
    "DuplicateGroup",
    "Gallery",
    "Hit",
    "RegionHit",
    "UpdateReport",
    "feedback_vector",
    "find_duplicates",
    "nothing_matches_below",
    "search_like",
    "search_region",
]
