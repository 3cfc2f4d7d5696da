"""Search: galleries of images and their nearest neighbours."""

from __future__ import annotations

from featurelens.search.calibration import nothing_matches_below
from featurelens.search.duplicates import DuplicateGroup, find_duplicates
from featurelens.search.feedback import feedback_vector, search_like
from featurelens.search.gallery import Gallery
from featurelens.search.hit import Hit
from featurelens.search.prompts import prompt_vectors
from featurelens.search.regions import RegionHit, search_region
from featurelens.search.update import UpdateReport
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
