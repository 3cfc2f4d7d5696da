"""One pass over the images (or sounds ...) of `extract`, batch by batch, each batch a dictionary of sets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from featurelens.backbone.protocol import Backbone
from featurelens.backbone.reader import Reader, reader_of
from featurelens.errors import InvalidInput, ReadError
from featurelens.features.parts import EMBEDDING
from featurelens.features.sets import OWN, Wanted
from featurelens.features.sources import Source
from featurelens.features.tapped import Work
from featurelens.images.batches import Batch, in_batches
from featurelens.images.decode import decode
from featurelens.images.item import Item
from featurelens.images.parts import in_parts
from featurelens.shapes import UInt8


def check_modality(backbone: Backbone, wanted: Mapping[str, Wanted]) -> None:
    """InvalidInput where layers or poolings are asked of a backbone that does not take images."""
    if backbone.spec.modality != "image" and [one.pooling for one in wanted.values()] != [OWN]:
        raise InvalidInput(
            f"'{backbone.spec.name}' takes {backbone.spec.things}; layers and poolings are of networks that take images. "
            "Leave layers= and pooling= out."
        )


def passing(
    todo: Iterable[Source],
    backbone: Backbone,
    work: Work,
    *,
    exact: bool,
    max_pixels: int,
    batch_size: int,
    workers: int,
) -> Iterator[Batch[Source, None, Any]]:
    """Batches in their order, what could not be read among their failures; close it to stop the threads."""
    options: Any = {"batch_size": batch_size, "workers": workers, "streams": max(1, backbone.streams)}
    if backbone.spec.modality == "image":
        fit = backbone.spec.fit
        load = partial(_pixels, fit=fit, exact=exact, max_pixels=max_pixels)
        found: Any = in_batches(todo, load, work, shape=(fit.rows, fit.cols), **options)
    else:
        reader = reader_of(backbone.spec)
        load = partial(_item, reader=reader)
        found = in_parts(todo, load, backbone.embed, shape=reader.shape, dtype=reader.dtype, **options)
    try:
        for batch in found:
            plain = isinstance(batch.result, np.ndarray)
            yield replace(batch, result={EMBEDDING: batch.result}) if plain else batch
    finally:
        found.close()


def _pixels(source: Source, **rules: Any) -> tuple[UInt8[np.ndarray, "row col 3"], None]:
    try:
        return decode(source.image, **rules).pixels, None
    except OSError as error:
        raise ReadError(f"cannot be read: {error.strerror or error}") from error


def _item(source: Source, *, reader: Reader) -> tuple[Item, None]:
    return reader.read(source.image), None
