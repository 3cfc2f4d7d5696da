"""One pass over images: decoded ahead, worked on in batches, broken files left out."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from featurelens.backbone.request import free_cores
from featurelens.errors import ImageError, InvalidInput
from featurelens.features.progress import Meter, OnProgress
from featurelens.features.sources import Source, sources
from featurelens.images.batches import in_batches
from featurelens.images.decode import DEFAULT_MAX_PIXELS, decode
from featurelens.images.fit import Fit
from featurelens.shapes import UInt8

R = TypeVar("R")


def batches_of(
    images: Any,
    fit: Fit,
    work: Callable[[UInt8[np.ndarray, "batch row col 3"]], R],
    *,
    limit: int | None = None,
    batch_size: int = 32,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    on_progress: OnProgress | None = None,
    on_failure: Callable[[Source, str], object] | None = None,
) -> Iterator[tuple[list[Source], R]]:
    """The images that could be read and what `work` made of their pixels [batch, row, col, 3], batch by batch.

    `images` is what `extract` takes; with `limit`, that many of them, spread evenly; `max_pixels` as in
    `decode`. `work` runs in other threads, one at a time. Raises InvalidInput when there are no images.
    """
    return batches_from(
        some_of(images, limit),
        fit,
        work,
        batch_size=batch_size,
        max_pixels=max_pixels,
        on_progress=on_progress,
        on_failure=on_failure,
    )


def batches_from(
    listed: Sequence[Source],
    fit: Fit,
    work: Callable[[UInt8[np.ndarray, "batch row col 3"]], R],
    *,
    done: int = 0,
    batch_size: int = 32,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    on_progress: OnProgress | None = None,
    on_failure: Callable[[Source, str], object] | None = None,
) -> Iterator[tuple[list[Source], R]]:
    """`batches_of` of images that are listed already, without the first `done` of them.

    A batch of which nothing could be read is not told, but for its failures.
    """
    meter = Meter(len(listed), on_progress, done=done)
    batches: Any = in_batches(
        listed[done:],
        lambda source: (pixels_of(source, fit, max_pixels=max_pixels), None),
        work,
        shape=(fit.rows, fit.cols),
        batch_size=batch_size,
        workers=free_cores(),
        streams=1,
    )
    try:
        for batch in batches:
            for source, error in batch.failures:
                if on_failure:
                    on_failure(source, error.reason)
            if batch.result is not None:
                yield batch.items, batch.result
            meter.step(len(batch.items) + len(batch.failures), len(batch.failures))
    finally:
        batches.close()


def some_of(
    images: Any, limit: int | None, *, stamped: bool = False, store: Path | None = None
) -> list[Source]:
    """The listed images; with `limit`, that many of them, spread evenly over the list.

    `stamped` and `store` as in `sources`. Raises InvalidInput when there are none, or for a limit below 1.
    """
    if limit is not None and limit < 1:
        raise InvalidInput(f"limit={limit}: look at 1 image or more, or leave it out for all.")
    listed = sources(images, None, stamped=stamped, store=store)
    if not listed:
        raise InvalidInput(
            f"There are no images in {images if isinstance(images, str | os.PathLike) else 'the list'}."
        )
    if limit is None or len(listed) <= limit:
        return listed
    return [listed[i * len(listed) // limit] for i in range(limit)]


def pixels_of(
    source: Source, fit: Fit, *, max_pixels: int = DEFAULT_MAX_PIXELS
) -> UInt8[np.ndarray, "row col 3"]:
    """The decoded and fitted pixels; ImageError says why there are none."""
    try:
        return decode(source.image, fit=fit, max_pixels=max_pixels).pixels
    except OSError as error:
        raise ImageError(f"cannot be read: {error.strerror or error}") from error
