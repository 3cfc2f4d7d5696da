"""The pixels of an image that a user named, and an error that says which one it is."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from featurelens.errors import ImageError, InvalidInput
from featurelens.images.decode import DEFAULT_MAX_PIXELS, Source, decode
from featurelens.images.fit import Fit
from featurelens.shapes import UInt8
from featurelens.wording import printable


class NotRead(ImageError):
    """An image that cannot be read: its text says which and why, its `reason` only why."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(reason)
        self.args = (f"{name}: {reason}",)


def read_pixels(
    image: Source,
    fit: Fit,
    *,
    exact: bool = False,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    place: str = "",
) -> UInt8[np.ndarray, "row col 3"]:
    """The decoded and fitted pixels; `place` is what an image without a file name is called in the ImageError."""
    try:
        return decode(image, fit=fit, exact=exact, max_pixels=max_pixels).pixels
    except ImageError as error:
        name = printable(os.fsdecode(image)) if isinstance(image, str | os.PathLike) else place
        if not name:
            raise
        raise NotRead(name, error.reason) from error


def refuse_single(images: Any) -> None:
    """InvalidInput where one image or a folder was given instead of several images."""
    if isinstance(images, str | bytes | os.PathLike):
        raise InvalidInput(
            f"{images!r:.80} is not a list of images. Give a list; for the files of a folder, "
            "sorted(Path(FOLDER).glob('*.jpg'))."
        )
