"""The concepts of a gallery as one self-contained HTML file: each with the images that fire it most, and where."""

from __future__ import annotations

import base64
import io
import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from featurelens.errors import FeaturelensError

if TYPE_CHECKING:
    from featurelens.adapt.concepts import Concept, Concepts, Exemplar
    from featurelens.search import Gallery, Hit

_SIDE = 136
_DIM = 0.4  # what is left of the light where a concept does not fire


def write_concepts_page(target: Path, concepts: Concepts, gallery: Gallery) -> None:
    """Write the page, most frequent concept first; the pictures are inside the file. Nothing is fetched."""
    from jinja2 import Environment, PackageLoader, select_autoescape

    from featurelens.features.durable import write_file

    hits = {hit.name: hit for hit in gallery.images()}
    cards = [_card(one, hits, gallery) for one in by_frequency(concepts)]
    pages = Environment(loader=PackageLoader("featurelens.web"), autoescape=select_autoescape())
    text = pages.get_template("concepts.html").render(
        found=concepts, cards=cards, place=gallery.images_folder.name, backbone=_brief(concepts.spec.name)
    )
    target.parent.mkdir(parents=True, exist_ok=True)
    write_file(target, lambda file: file.write(text.encode("utf-8", "replace")), durable=False)


def by_frequency(concepts: Concepts) -> list[Concept]:
    """The concepts, those that fire in most images first."""
    return sorted(concepts.concepts, key=lambda one: (-one.frequency, one.number))


def agreed(concept: Concept) -> tuple[str, int] | None:
    """The label that at least half of the exemplars have, and how many do; None without such a label."""
    counts = Counter(one.label for one in concept.exemplars if one.label)
    most = counts.most_common(1)[0] if counts else ("", 0)
    return most if most[1] > 0 and 2 * most[1] >= len(concept.exemplars) else None


def _card(concept: Concept, hits: dict[str, Hit], gallery: Gallery) -> dict[str, Any]:
    return {
        "concept": concept,
        "agreed": agreed(concept),
        "tiles": [_tile(one, hits.get(one.image), gallery) for one in concept.exemplars],
    }


def _tile(exemplar: Exemplar, hit: Hit | None, gallery: Gallery) -> dict[str, Any]:
    name = exemplar.image.encode("utf-8", "replace").decode()
    text = f"{name}: {exemplar.activation:.2f}"
    return {
        "picture": None if hit is None else _picture(exemplar, hit, gallery),
        "link": None if hit is None else "file://" + quote(os.fsencode(hit.path.absolute())),
        "text": text + (f", {exemplar.label}" if exemplar.label else ""),
    }


def _picture(exemplar: Exemplar, hit: Hit, gallery: Gallery) -> str | None:
    """The image as a data URI; None where it can't be read any more."""
    try:
        data = gallery.thumbnail(hit, side=_SIDE) if exemplar.where is None else _lit(exemplar, hit, gallery)
    except FeaturelensError:
        return None
    kind = "webp" if data[8:12] == b"WEBP" else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def _lit(exemplar: Exemplar, hit: Hit, gallery: Gallery) -> bytes:
    """What the network sees of an image, lit where the concept fires, as WebP."""
    import numpy as np
    from PIL import Image

    from featurelens.images.decode import decode
    from featurelens.see.render import enlarge

    assert exemplar.where is not None
    settings = gallery.settings
    pixels = decode(hit.path, fit=settings.spec.fit, max_pixels=settings.max_pixels).pixels
    small = np.asarray(Image.fromarray(pixels).resize((_SIDE, _SIDE), Image.Resampling.LANCZOS))
    light = enlarge(exemplar.where / max(float(exemplar.where.max()), 1e-12), _SIDE, _SIDE)
    lit = _DIM + (1 - _DIM) * np.clip(2 * light, 0, 1)  # half the peak and more is fully lit
    buffer = io.BytesIO()
    Image.fromarray(np.rint(small * lit[..., None]).astype(np.uint8)).save(buffer, "WEBP", quality=80)
    return buffer.getvalue()


def _brief(name: str) -> str:
    """A backbone's name; of one that lies in a folder or file, only what that is called."""
    scheme, colon, rest = name.partition(":")
    return rest.rstrip("/").rpartition("/")[2] if colon and "/" in rest and scheme != "clip" else name
