"""Several backbones on the same pixels: one size for all of them, and each member's own part of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from featurelens.backbone.protocol import Backbone
from featurelens.errors import InvalidInput
from featurelens.images.fit import Fit
from featurelens.images.resize import resize
from featurelens.shapes import Float32, UInt8


@dataclass(frozen=True)
class Member:
    """A backbone by the name that loads it; `size` is its input's side, where that is not its own."""

    name: str
    size: int | None = None

    def __str__(self) -> str:
        return self.name if self.size is None else f"{self.name}@{self.size}"


def member_of(text: str) -> Member:
    """`NAME`, or `NAME@SIZE` for the same network at another scale.

    >>> member_of("resnet18@160"), str(member_of("classic:hog"))
    (Member(name='resnet18', size=160), 'classic:hog')
    """
    name, at, size = text.rpartition("@")
    return Member(name, int(size)) if at and size.isdigit() else Member(text)


def common_fit(fits: Sequence[Fit]) -> Fit:
    """The one rule if all have the same; else the centre square, large enough for each before it cuts its rim.

    >>> common_fit([Fit(224, 224), Fit(128, 128, crop_pct=1.0)]).rows
    256
    """
    if not fits:
        raise InvalidInput("There is no backbone to fuse; give two or more.")
    if all(fit == fits[0] for fit in fits):
        return fits[0]
    side = max(math.floor(max(fit.rows, fit.cols) / min(fit.crop_pct, 1.0) + 1e-6) for fit in fits)
    return Fit(side, side, "crop", 1.0, "bicubic")


def part_of(
    pixels: UInt8[np.ndarray, "batch row col 3"], whole: Fit, own: Fit
) -> UInt8[np.ndarray, "batch row_ col_ 3"]:
    """What a member with the rule `own` gets of pixels that were fitted by `whole`."""
    if own == whole or not len(pixels):
        return pixels if own == whole else np.empty((0, own.rows, own.cols, 3), np.uint8)
    return np.stack([resize(one, own) for one in pixels])


def unit_sources(
    members: Sequence[Backbone], pixels: UInt8[np.ndarray, "batch row col 3"], whole: Fit
) -> list[Float32[np.ndarray, "batch _"]]:
    """The embedding of each member, rows of length 1 (a zero row stays zero)."""
    found = []
    for member in members:
        raw = member.embed(part_of(pixels, whole, member.spec.fit)).astype(np.float32, copy=False)
        found.append(raw / np.maximum(np.linalg.norm(raw, axis=1, keepdims=True), 1e-12))
    return found
