"""The concepts of a gallery as one self-contained HTML file: each with the images that fire it most, and where."""

from __future__ import annotations

import base64
import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from featurelens.errors import FeaturelensError
from featurelens.web.lit import lit_picture

if TYPE_CHECKING:
    from featurelens.adapt.concepts import Concept, Concepts, Exemplar
    from featurelens.search import Gallery, Hit

_SIDE = 136


def write_concepts_page(target: Path, concepts: Concepts, gallery: Gallery) -> None:
    """Write the page, most frequent concept first; the pictures are inside the file. Nothing is fetched."""
    from jinja2 import Environment, PackageLoader, select_autoescape

    from featurelens.durable import write_file

    hits = {hit.name: hit for hit in gallery.images()}
    cards = [_card(one, hits, gallery) for one in by_frequency(concepts)]
    pages = Environment(loader=PackageLoader("featurelens.web"), autoescape=select_autoescape())
    text = pages.get_template("concepts_file.html").render(
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
        data = lit_picture(exemplar, hit, gallery, side=_SIDE)
    except FeaturelensError:
        return None
    kind = "webp" if data[8:12] == b"WEBP" else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def _brief(name: str) -> str:
    """A backbone's name; of one that lies in a folder or file, only what that is called."""
    scheme, colon, rest = name.partition(":")
    return rest.rstrip("/").rpartition("/")[2] if colon and "/" in rest and scheme != "clip" else name
