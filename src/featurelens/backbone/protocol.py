"""What every backbone offers, and the description that travels with its vectors."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np

from featurelens.errors import BackboneError
from featurelens.images.fit import Fit
from featurelens.shapes import Float32, UInt8


@dataclass(frozen=True)
class Spec:
    """A backbone's identity card; two backbones with equal fingerprints give the same vectors.

    `name` is what the user types (a path in it is absolute), `weights` the SHA-256 of the parameters, `dim`
    the length of an embedding, `mean` and `std` the normalisation in [0, 1] units, `map_channels` the
    channels of `maps` (0: the backbone has no map), `text` whether it also embeds texts (a `TextBackbone`).
    `modality` names what it takes, and so the `Reader` of its files; `reading` holds that reader's rules (JSON values),
    as `fit` holds those of images.
    """

    name: str
    weights: str
    dim: int
    fit: Fit = field(default_factory=Fit)
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    map_channels: int = 0
    licence: str = "unknown"
    precision: str = "fp32"
    text: bool = False
    modality: str = "image"
    reading: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @property
    def things(self) -> str:
        """What it takes, in the plural, for messages."""
        return {"image": "images", "sound": "sounds"}.get(self.modality, "files")

    @property
    def fingerprint(self) -> str:
        """Twelve hex digits over all that decides a vector's value: weights, preprocessing, precision."""
        decisive = {k: v for k, v in self.to_json().items() if k not in ("name", "licence", "text")}
        return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()[:12]

    def to_json(self) -> dict[str, Any]:
        """A plain dictionary for `spec.json` files and databases; that of images has no word on modalities."""
        values = asdict(self)
        if self.modality == "image":
            del values["modality"], values["reading"]
        return values

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Spec:
        """The inverse of `to_json`."""
        values = dict(data)
        values["fit"] = Fit(**values["fit"])
        values["mean"] = tuple(values["mean"])
        values["std"] = tuple(values["std"])
        return cls(**values)


@runtime_checkable
class Backbone(Protocol):
    """Pixels in, features out. Pixels are uint8 RGB `[batch, row, col, 3]` at the spec's size.

    One of another modality takes what its reader makes of a file instead: `[batch, *reader.shape]`. `streams`
    is how many threads may call `embed` at once with profit (1: callers take turns).
    """

    @property
    def spec(self) -> Spec: ...

    @property
    def streams(self) -> int: ...

    def embed(self, pixels: UInt8[np.ndarray, "batch row col 3"], /) -> Float32[np.ndarray, "batch dim"]:
        """The raw (not normalised) embedding of each image."""
        ...

    def maps(
        self, pixels: UInt8[np.ndarray, "batch row col 3"], /
    ) -> Float32[np.ndarray, "batch channel grid_row grid_col"]:
        """The last spatial map, or the token grid without prefix tokens; BackboneError if there is none."""
        ...


@runtime_checkable
class TextBackbone(Backbone, Protocol):
    """A Backbone that also puts texts where the images lie that they describe (CLIP, SigLIP and their kin)."""

    def embed_text(self, texts: Sequence[str]) -> Float32[np.ndarray, "text dim"]:
        """The raw (not normalised) embedding of each text; what does not fit into the context is cut off."""
        ...


def with_text(backbone: Backbone, purpose: str) -> TextBackbone:
    """The same backbone, which has a text tower; BackboneError says what to load or index with where it has none."""
    if isinstance(backbone, TextBackbone):
        return backbone
    raise BackboneError(no_text(backbone.spec.name, purpose))


def no_text(name: str, purpose: str) -> str:
    """What to say where a backbone takes no text."""
    return (
        f"{purpose} needs a backbone that also takes text, and '{name}' takes only images. Index the images with "
        "one that was trained on pairs of image and text, into a gallery of their own: featurelens index IMAGES "
        "--at DIR --backbone clip:Xenova/clip-vit-base-patch32 (or clip:FOLDER, openclip:ARCH/TAG; for sounds, "
        "clap:REPO or clap:FOLDER)."
    )
