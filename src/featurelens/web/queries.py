"""From what a client sent to pixels and vectors."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from featurelens.images.decode import decode
from featurelens.search import feedback_vector
from featurelens.web.problems import Problem
from featurelens.web.service import Service
from featurelens.web.uploads import Upload


@dataclass(frozen=True)
class Asked:
    """A query: images of the gallery, images it should be unlike, an upload, or an image as a data URI."""

    ids: Sequence[int] = ()
    less: Sequence[int] = ()
    upload: str | None = None
    image: str | None = None

    @property
    def is_plain(self) -> bool:
        """Whether it is one image, so that similarities are those between two images."""
        return not self.less and len(self.ids) + (self.upload is not None) + (self.image is not None) == 1


def read_upload(service: Service, data: bytes) -> Upload:
    """Decode what was sent; a 413 or 422 problem says what is wrong with it."""
    if len(data) > service.limits.upload:
        raise Problem(413, f"The image has more than {service.limits.upload >> 20} MiB.")
    return service.decoder.decode(data)


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


def pixels_of(service: Service, source: Path | bytes) -> np.ndarray:
    """A source as the network takes it: fitted pixels."""
    settings = service.gallery.settings
    fit = service.gallery.spec.fit
    return decode(source, fit=fit, exact=settings.exact, max_pixels=settings.max_pixels).pixels


def vector_of(service: Service, asked: Asked) -> np.ndarray:
    """The query's unit vector: one image's own, or one that lies near several and away from `less`."""
    for one in (*asked.ids, *asked.less):
        service.image(one)
    fitted = []
    if asked.upload is not None:
        fitted.append(service.uploads.get(asked.upload).fitted)
    if asked.image is not None:
        fitted.append(read_upload(service, from_data_uri(asked.image)).fitted)
    more = [*asked.ids, *service.embed(fitted)]
    if not more:
        raise Problem(422, "Give something to search with: ids, an upload or an image.")
    if asked.is_plain:
        return service.gallery.vector(more[0])
    return feedback_vector(service.gallery, more, less=asked.less)


def one_image(service: Service, asked: Asked) -> int | bytes:
    """The one image that a box is drawn on: an id of the gallery, or the bytes that were sent."""
    if not asked.is_plain:
        raise Problem(422, "A box is drawn on one image: give one id, or one upload or image, and no `less`.")
    if asked.ids:
        return service.original(asked.ids[0]).id
    if asked.upload is not None:
        return service.uploads.get(asked.upload).data
    return read_upload(service, from_data_uri(asked.image or "")).data


def decode_uris(service: Service, uris: Sequence[str]) -> list[np.ndarray]:
    """Fitted pixels of images in data URIs."""
    return [read_upload(service, from_data_uri(uri)).fitted for uri in uris]
