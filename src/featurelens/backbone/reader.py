"""Readers: what turns the files of one modality into what its backbones embed."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import numpy as np
from PIL import Image

from featurelens.backbone.protocol import Spec
from featurelens.catalog import Catalog
from featurelens.images.decode import DEFAULT_MAX_PIXELS
from featurelens.images.item import Item
from featurelens.images.reader import ImageReader

READERS = Catalog("modality", {"sound": "featurelens.sounds.reader:make"}, group="featurelens.modalities")
"""From a modality to a function of a Spec that makes the Reader of its files; that of images is built in."""


@runtime_checkable
class Reader(Protocol):
    """Reads files for one backbone; safe to use from several threads.

    `shape` and `dtype` are those of one part, as the backbone's `embed` takes them in a batch. `piecewise`: it reads large
    files bit by bit from their path; without it, it is given the bytes of a file (of up to 1 GiB).
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    piecewise: bool

    def sniff(self, head: bytes) -> str | None:
        """The format that a file's first bytes (up to 256) tell; None for a file that is not read."""
        ...

    def why_not(self, head: bytes) -> str:
        """Why a file that begins like this is not read, in plain words for the list of skipped files."""
        ...

    def read(self, source: Any) -> Item:
        """The parts of a path, of the bytes of a file, or of an array in memory; ReadError if it can't be read.

        The vector of an item of several parts is the mean of their vectors at length one.
        """
        ...

    def picture(self, source: Any, side: int) -> Image.Image:
        """A picture to show the item by, its longer side at most `side` pixels; ReadError."""
        ...


def reader_of(spec: Spec, *, exact: bool = False, max_pixels: int = DEFAULT_MAX_PIXELS) -> Reader:
    """The reader of a backbone's files, made from its Spec alone; UnknownName for a modality of no installed package.

    `exact` and `max_pixels` are rules for images, as in `decode`.

    >>> reader_of(Spec("a", weights="", dim=1)).shape
    (224, 224, 3)
    """
    if spec.modality == "image":
        return ImageReader(spec.fit, exact=exact, max_pixels=max_pixels)
    return READERS.load(spec.modality)(spec)
