"""An image as the network sees it, lit where a concept fires."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from featurelens.adapt.concepts import Exemplar
    from featurelens.search import Gallery, Hit

_DIM = 0.4  # what is left of the light where a concept does not fire


def lit_picture(exemplar: Exemplar, hit: Hit, gallery: Gallery, *, side: int) -> bytes:
    """A WebP for an exemplar: of concepts of whole images its thumbnail. ImageError where it can't be read any more."""
    if exemplar.where is None:
        return gallery.thumbnail(hit, side=side)
    from PIL import Image

    from featurelens.images.decode import decode
    from featurelens.see.render import enlarge

    settings = gallery.settings
    pixels = decode(hit.path, fit=settings.spec.fit, max_pixels=settings.max_pixels).pixels
    small = np.asarray(Image.fromarray(pixels).resize((side, side), Image.Resampling.LANCZOS))
    light = enlarge(exemplar.where / max(float(exemplar.where.max()), 1e-12), side, side)
    lit = _DIM + (1 - _DIM) * np.clip(2 * light, 0, 1)  # half the peak and more is fully lit
    buffer = io.BytesIO()
    Image.fromarray(np.rint(small * lit[..., None]).astype(np.uint8)).save(buffer, "WEBP", quality=80)
    return buffer.getvalue()
