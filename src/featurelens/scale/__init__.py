"""Scale: galleries in Lance tables, images of other stores, and many machines (extra `scale`)."""

from __future__ import annotations

from featurelens.scale.store import LanceStore
from featurelens.scale.upkeep import tend

__all__ = ["LanceStore", "tend"]
