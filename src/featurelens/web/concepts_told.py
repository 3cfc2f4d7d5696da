"""Concepts in the words of the REST service."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from featurelens.search import Hit
from featurelens.web.concepts_page import by_frequency
from featurelens.web.problems import not_found
from featurelens.web.shown import model_name, readable, shown

if TYPE_CHECKING:
    from featurelens.adapt.concepts import Concept, Concepts, Exemplar
    from featurelens.web.service import Service


def overview(service: Service, top: int) -> dict[str, Any]:
    """All of them, and how they were learned."""
    learned, spec = service.concepts, service.gallery.spec
    found = learned.get()
    if found is None:
        nothing = dict.fromkeys(("images", "vectors", "active", "explained", "fired"), 0)
        unknown = dict.fromkeys(("made", "of", "backbone", "strange"))
        return nothing | unknown | {"searchable": False, "patches": bool(spec.map_channels), "concepts": []}
    some = by_frequency(found)
    return {
        "made": learned.made,
        "of": found.of,
        "backbone": model_name(found.spec.name),
        "images": found.images,
        "vectors": found.vectors,
        "active": found.dictionary.active,
        "explained": found.explained,
        "fired": found.fired,
        "patches": bool(spec.map_channels),
        "concepts": _shown(service, found, some, top),
        **_use(service, found),
    }


def concept_told(service: Service, number: int) -> dict[str, Any]:
    """One of them; a 404 problem for a number that none has."""
    found = service.concepts.need()
    one = _one(found, number)
    (told,) = _shown(service, found, [one], len(one.exemplars))
    among = [] if found.labelled is None else found.labelled.of(number)
    labels = [{"label": readable(label), "fires": fires, "images": images} for label, fires, images in among]
    return {**told, "of": found.of, "count": len(found), "labels": labels, **_use(service, found)}


def exemplar_at(service: Service, number: int, rank: int) -> tuple[Exemplar, Hit]:
    """An exemplar and its image as it is today; a 404 problem where there is none."""
    exemplars = _one(service.concepts.need(), number).exemplars
    if rank >= len(exemplars):
        raise not_found(f"Concept {number} has {len(exemplars)} exemplars, numbered from 0.")
    named = service.listing.named([exemplars[rank].image])
    if not named:
        raise not_found(f"The image '{readable(exemplars[rank].image)}' has left the gallery.")
    return exemplars[rank], next(iter(named.values()))


def _one(found: Concepts, number: int) -> Concept:
    if number >= len(found):
        raise not_found(f"There is no concept {number}; these are numbered 0 to {len(found) - 1}.")
    return found[number]


def _use(service: Service, found: Concepts) -> dict[str, Any]:
    """Whether they can be searched with, and what is strange about them."""
    same = found.spec.fingerprint == service.gallery.spec.fingerprint
    return {"searchable": found.searchable and same, "strange": service.concepts.strange(found)}


def _shown(service: Service, found: Concepts, some: Sequence[Concept], top: int) -> list[dict[str, Any]]:
    from featurelens.adapt.concepts.labelled import purity

    named = service.listing.named(sorted({e.image for one in some for e in one.exemplars[:top]}))
    stamp = service.concepts.stamp
    told = []
    for one in some:
        pure = purity(one, found.labelled)
        exemplars = []
        for rank, exemplar in enumerate(one.exemplars[:top]):
            hit = named.get(exemplar.image)
            picture = None
            if hit is not None:
                picture = shown(hit).thumbnail
                if exemplar.where is not None:
                    picture = f"/api/v1/concepts/{one.number}/exemplars/{rank}/picture?of={stamp}"
            exemplars.append(
                {
                    "name": readable(exemplar.image),
                    "activation": exemplar.activation,
                    "label": readable(exemplar.label),
                    "place": exemplar.place and list(exemplar.place),
                    "image": None if hit is None else shown(hit).model_dump(),
                    "picture": picture,
                }
            )
        told.append(
            {
                "number": one.number,
                "name": one.name,
                "frequency": one.frequency,
                "strength": one.strength,
                "purity": None if pure is None else asdict(pure) | {"label": readable(pure.label)},
                "exemplars": exemplars,
            }
        )
    return told
