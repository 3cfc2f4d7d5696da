"""Scale: galleries in Lance tables, images of other stores, and many machines (extra `scale`)."""

from __future__ import annotations

from featurelens.scale.history import mark, marks, renew
from featurelens.scale.on_ray import update_on_ray
from featurelens.scale.sources import Source, source_of
from featurelens.scale.store import LanceStore
from featurelens.scale.table import exists
from featurelens.scale.upkeep import tend

__all__ = ["LanceStore", "Source", "exists", "mark", "marks", "renew", "source_of", "tend", "update_on_ray"]
