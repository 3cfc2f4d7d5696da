"""Features: the vectors of many images, how they are made, kept and passed on."""

from __future__ import annotations

from featurelens.features.extract import extract
from featurelens.features.labels import read_labels
from featurelens.features.matching import matched, text_features
from featurelens.features.pooling import pool
from featurelens.features.progress import Progress
from featurelens.features.table import Features

__all__ = ["Features", "Progress", "extract", "matched", "pool", "read_labels", "text_features"]
