"""Concepts on disk: one file that is whole or absent, and a readable account beside it."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from featurelens.adapt.concepts.dictionary import Dictionary
from featurelens.adapt.concepts.found import Concept, Concepts, Exemplar
from featurelens.adapt.concepts.labelled import Labelled
from featurelens.backbone.protocol import Spec
from featurelens.durable import write_file
from featurelens.errors import InvalidInput

ARRAYS, TOLD = "concepts.npz", "concepts.json"
_VERSION = 1


def save(found: Concepts, folder: Path) -> None:
    """Write both files; what stood there before is replaced."""
    folder.mkdir(parents=True, exist_ok=True)
    own, told = found.dictionary, json.dumps(_told(found), indent=1)
    maps: dict[str, np.ndarray] = {}
    for concept in found.concepts:
        if where := [e.where for e in concept.exemplars if e.where is not None]:
            maps[f"where_{concept.number}"] = np.stack(where)
    arrays: dict[str, Any] = {name: values.astype(np.float16) for name, values in maps.items()}
    arrays |= {name: getattr(own, name) for name in ("centre", "encoder", "bias", "decoder")}
    if found.labelled is not None:
        arrays |= {"label_images": found.labelled.images, "label_fires": found.labelled.fires}
    arrays["told"] = np.frombuffer(told.encode(), np.uint8)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    write_file(folder / ARRAYS, lambda file: file.write(buffer.getbuffer()))
    write_file(folder / TOLD, lambda file: file.write(told.encode() + b"\n"))


def load(folder: Path) -> Concepts:
    """Read `concepts.npz` of a folder."""
    file = folder / ARRAYS
    try:
        with np.load(io.BytesIO(file.read_bytes()), allow_pickle=False) as held:
            arrays = {name: held[name] for name in held.files}
        told = json.loads(arrays["told"].tobytes())
        if told["version"] != _VERSION:
            raise InvalidInput(f"{file} is of version {told['version']}; this program reads {_VERSION}.")
        return _made(told, arrays)
    except FileNotFoundError:
        raise InvalidInput(
            f"There are no concepts in {folder}. Learn some with: featurelens concepts GALLERY"
        ) from None
    except (OSError, ValueError, KeyError, TypeError, EOFError, BadZipFile) as error:
        if isinstance(error, InvalidInput):
            raise
        raise InvalidInput(
            f"{file} cannot be read as concepts: {error}. Learn them anew: featurelens concepts GALLERY"
        ) from error


def _told(found: Concepts) -> dict[str, Any]:
    return {
        "version": _VERSION,
        "spec": found.spec.to_json(),
        "of": found.of,
        "active": found.dictionary.active,
        "scale": found.dictionary.scale,
        "images": found.images,
        "vectors": found.vectors,
        "explained": found.explained,
        "fired": found.fired,
        "searchable": found.searchable,
        "origin": found.origin,
        "labels": None if found.labelled is None else list(found.labelled.names),
        "skipped": [list(one) for one in found.skipped],
        "concepts": listed(found),
    }


def listed(found: Concepts) -> list[dict[str, Any]]:
    """Every concept with its exemplars as plain values, for JSON."""
    return [
        {
            "number": one.number,
            "name": one.name,
            "frequency": one.frequency,
            "strength": one.strength,
            "exemplars": [
                {"image": e.image, "activation": e.activation, "label": e.label, "place": e.place}
                for e in one.exemplars
            ],
        }
        for one in found.concepts
    ]


def _made(told: dict[str, Any], arrays: dict[str, np.ndarray]) -> Concepts:
    parts = {name: arrays[name] for name in ("centre", "encoder", "bias", "decoder")}
    dictionary = Dictionary(scale=told["scale"], active=told["active"], **parts)
    concepts = []
    for one in told["concepts"]:
        maps = arrays.get(f"where_{one['number']}")
        exemplars = tuple(
            Exemplar(
                e["image"], e["activation"], e["label"], None if maps is None else maps[i].astype(np.float32)
            )
            for i, e in enumerate(one["exemplars"])
        )
        concepts.append(Concept(one["number"], one["frequency"], one["strength"], exemplars, one["name"]))
    return Concepts(
        Spec.from_json(told["spec"]),
        told["of"],
        dictionary,
        tuple(concepts),
        told["images"],
        told["vectors"],
        told["explained"],
        told["fired"],
        told["searchable"],
        tuple((name, reason) for name, reason in told["skipped"]),
        None
        if told.get("labels") is None
        else Labelled(tuple(told["labels"]), arrays["label_images"], arrays["label_fires"]),
        told.get("origin", ""),
    )
