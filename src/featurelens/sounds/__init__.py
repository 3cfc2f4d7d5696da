"""Sounds: which files are read, their windows at one sample rate, and a picture of each. Nothing here knows a network."""

from __future__ import annotations

from featurelens.sounds.reader import SoundReader

__all__ = ["SoundReader"]
