"""Search: galleries of images and their nearest neighbours."""

from __future__ import annotations

from featurelens.search.gallery import Gallery
from featurelens.search.hit import Hit
from featurelens.search.update import UpdateReport

__all__ = ["Gallery", "Hit", "UpdateReport"]
