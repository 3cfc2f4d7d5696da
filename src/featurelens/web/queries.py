"""From what a client sent to pixels and vectors."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from featurelens.images.decode import decode
from featurelens.search import feedback_vector
from featurelens.search.vectors import sample
from featurelens.search.words import ASKED, Words, unit_texts, words_vector
from featurelens.web.problems import Problem
from featurelens.web.service import Service
from featurelens.web.uploads import Upload


@dataclass(frozen=True)
class Asked:
    """A query: images of the gallery, images it should be unlike, an upload, an image as a data URI, words.

    `along`: concepts that it is led along, by number, with how much of each.
    """

    ids: Sequence[int] = ()
    less: Sequence[int] = ()
    upload: str | None = None
    image: str | None = None
    words: Words = field(default_factory=Words)
    along: Mapping[int, float] = field(default_factory=dict)

    @property
    def is_plain(self) -> bool:
        """Whether it is one image, so that similarities are those between two images."""
        return (
            not self.less
            and not self.words
            and not self.along
            and len(self.ids) + (self.upload is not None) + (self.image is not None) == 1
        )


def read_upload(service: Service, data: bytes, *, shown: bool = False) -> Upload:
    """Decode what was sent, if it will be `shown` with a picture for that; a 413 or 422 problem says what is wrong with it."""
    spec = service.gallery.spec
    if spec.modality != "image":
        raise Problem(
            422,
            f"This gallery holds {spec.things}; search with one of them by its id, or with words if it takes any.",
        )
    if len(data) > service.limits.upload:
        raise Problem(413, f"The image has more than {service.limits.upload >> 20} MiB.")
    return service.decoder.decode(data, shown=shown)


def from_data_uri(text: str) -> bytes:
    """The bytes of an image in a data URI; a 422 problem for anything else, for no address is ever fetched."""
    head, comma, body = text.partition(",")
    if not comma or not head.lower().startswith("data:image/") or not head.lower().endswith(";base64"):
        raise Problem(
            422, "An image is given as a data URI, 'data:image/jpeg;base64,...'. Addresses are not fetched."
        )
    try:
        return base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError):
        raise Problem(422, "The data URI is not valid base64.") from None


def source_of(service: Service, one: int | None, upload: str | None) -> Path | bytes:
    """The file of an image of the gallery, or the bytes of an upload."""
    if (one is None) == (upload is None):
        raise Problem(422, "Give either an id or an upload.")
    if one is not None:
        return service.original(one).path
    return service.uploads.get(upload or "").data


def reading_of(service: Service) -> dict[str, Any]:
    """How this gallery reads images, as options of `decode` and of what decodes."""
    settings = service.gallery.settings
    return {"exact": settings.exact, "max_pixels": settings.max_pixels}


def pixels_of(service: Service, source: Path | bytes) -> np.ndarray:
    """A source as the network takes it: fitted pixels."""
    return decode(source, fit=service.gallery.spec.fit, **reading_of(service)).pixels


def vector_of(service: Service, asked: Asked) -> np.ndarray:
    """The query's unit vector: one image's own, one that lies near several and away from `less`, or one with words."""
    for one in (*asked.ids, *asked.less):
        service.image(one)
    fitted = []
    if asked.upload is not None:
        fitted.append(service.upload(asked.upload).fitted)
    if asked.image is not None:
        fitted.append(read_upload(service, from_data_uri(asked.image)).fitted)
    more = [*asked.ids, *service.embed(fitted)]
    gallery = service.gallery
    if not more and (asked.less or not (asked.words or asked.along)):
        raise Problem(
            422,
            "Give something to search with: ids, an upload, an image or, without `less`, a text or concepts.",
        )
    picture = None
    if more:
        alone = len(more) == 1 and not asked.less
        picture = gallery.vector(more[0]) if alone else feedback_vector(gallery, more, less=asked.less)
    if asked.along:
        picture = service.concepts.led(picture, asked.along)
    if picture is not None and not asked.words:
        return picture
    return words_vector(
        asked.words,
        picture,
        gallery.spec,
        lambda: gallery.backbone,
        lambda: sample(gallery.finder.snapshot(), ASKED),
    )


def one_image(service: Service, asked: Asked) -> int | bytes:
    """The one image that a box is drawn on: an id of the gallery, or the bytes that were sent."""
    if not asked.is_plain:
        raise Problem(
            422,
            "A box is drawn on one image: give one id, or one upload or image, and no `less`, text or concepts.",
        )
    if asked.ids:
        return service.original(asked.ids[0]).id
    if asked.upload is not None:
        return service.uploads.get(asked.upload).data
    return read_upload(service, from_data_uri(asked.image or "")).data


def embed_inputs(service: Service, inputs: Sequence[str]) -> list[np.ndarray]:
    """Unit vectors of images in data URIs and, where the network takes them, of texts, in their order."""
    texts = [
        i for i, one in enumerate(inputs) if not one.lower().startswith("data:") and service.gallery.spec.text
    ]
    images = [i for i in range(len(inputs)) if i not in set(texts)]
    fitted = [read_upload(service, from_data_uri(inputs[i])).fitted for i in images]
    found = dict(zip(images, service.embed(fitted), strict=True))
    vectors = unit_texts(service.gallery.backbone, [inputs[i] for i in texts]) if texts else []
    return [one for _, one in sorted({**found, **dict(zip(texts, vectors, strict=True))}.items())]
