"""From the names of several backbones and a folder of images to one fused backbone and its features."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from featurelens.adapt.augment import Augment
from featurelens.adapt.fusing import fuse, fused, write_fusion
from featurelens.backbone.fused import FusedBackbone
from featurelens.backbone.fused import write as write_folder
from featurelens.backbone.members import Member
from featurelens.backbone.protocol import Backbone, Spec
from featurelens.errors import InvalidInput
from featurelens.features.extract import extract
from featurelens.features.table import Features
from featurelens.nn.fusion import TRAINED, Fusion
from featurelens.shapes import Float32, UInt8

VIEWS = Augment(
    area=(0.5, 1.0), turn=8.0, brightness=0.3, contrast=0.3, saturation=0.3, hue=0.03, grey=0.0, blur=0.2
)


@dataclass(frozen=True)
class Fused:
    """A fitted fusion: as a backbone, the images' fused features, and each source's vectors that it was made of."""

    backbone: FusedBackbone
    features: Features
    fusion: Fusion
    sources: dict[str, Float32[np.ndarray, "image _"]]
    members: tuple[tuple[Member, Backbone], ...]

    def write(self, folder: Path) -> None:
        """Keep the backbone as a folder that loads as `fused:DIR`, without torch."""
        kind = type(self.fusion).__name__
        write_folder(folder, self.members, lambda file: write_fusion(self.fusion, file), fusion=kind)


def fuse_backbones(
    images: Any,
    members: Sequence[tuple[Member, Backbone]],
    kind: str,
    *,
    train: str = "auto",
    dim: int = 256,
    heads: int = 4,
    seed: int = 0,
    **options: Any,
) -> Fused:
    """Extract all members in one pass over `images`, fit the fusion `kind` on them, and give the fused backbone.

    `weights` and `attention` train on the images' labels, or ("views", or "auto" where there are no labels)
    contrastively on augmented views. `options` go to `extract`. Raises InvalidInput for fewer than two members.

    >>> from featurelens.backbone import load_backbone
    >>> photos = np.random.default_rng(0).integers(0, 256, (8, 64, 64, 3), dtype=np.uint8)
    >>> names = ["classic:hog", "classic:colour"]
    >>> made = fuse_backbones(photos, [(Member(n), load_backbone(n)) for n in names], "concat")
    >>> made.features.spec.dim == sum(made.backbone.members[i].spec.dim for i in (0, 1))
    True
    """
    if len(members) < 2:
        raise InvalidInput(f"{len(members)} backbones cannot be fused; give two or more.")
    if train not in ("auto", "labels", "views"):
        raise InvalidInput(f"train={train!r} is not one of auto, labels, views.")
    loaded = [backbone for _, backbone in members]
    side_by_side = FusedBackbone(loaded, np.hstack, weights="side by side", name=_called(members, "sources"))
    found = extract(images, side_by_side, **options)
    assert isinstance(found, Features)
    sources = split(found.vectors, [b.spec for b in loaded])
    labelled = found.labels is not None and len(set(found.labels) - {""}) > 1
    if kind in TRAINED and (train == "views" or (train == "auto" and not labelled)):
        anew: dict[str, Any] = {**options, "store": None}
        again = extract(images, _Augmented(side_by_side, seed), **anew)
        assert isinstance(again, Features)
        row = {one: n for n, one in enumerate(again.ids)}
        both = [n for n, one in enumerate(found.ids) if one in row]
        views = split(again.vectors[[row[found.ids[n]] for n in both]], [b.spec for b in loaded])
        first = [s[both] for s in sources]
        fusion = fuse(kind, first, views=views, dim=dim, heads=heads, seed=seed)
    else:
        fusion = fuse(kind, sources, labels=found.labels, dim=dim, heads=heads, seed=seed)
    digest = hashlib.sha256()
    for name, tensor in sorted(fusion.state_dict().items()):
        digest.update(name.encode() + tensor.numpy().tobytes())
    backbone = FusedBackbone(
        loaded, lambda given: fused(fusion, given), weights=digest.hexdigest(), name=_called(members, kind)
    )
    joined = Features.from_raw(found.ids, fused(fusion, sources), backbone.spec, labels=found.labels)
    features = Features(joined.ids, joined.vectors, joined.spec, joined.labels, found.skipped)
    by_name = {str(member): rows for (member, _), rows in zip(members, sources, strict=True)}
    return Fused(backbone, features, fusion, by_name, tuple(members))


def split(
    vectors: Float32[np.ndarray, "image dim"], specs: Sequence[Spec]
) -> list[Float32[np.ndarray, "image _"]]:
    """Each source's unit rows, out of rows that hold them side by side."""
    ends = np.cumsum([spec.dim for spec in specs])[:-1]
    parts = np.split(vectors, ends, axis=1)
    return [p / np.maximum(np.linalg.norm(p, axis=1, keepdims=True), 1e-12) for p in parts]


def _called(members: Sequence[tuple[Member, Backbone]], what: str) -> str:
    return " + ".join(str(member) for member, _ in members) + f" ({what})"


class _Augmented:
    """A backbone that sees every image cropped, turned and coloured at random."""

    streams = 1  # one thread: the random numbers come in one order

    def __init__(self, backbone: FusedBackbone, seed: int) -> None:
        self.spec = backbone.spec
        self._backbone = backbone
        self._source = torch.Generator().manual_seed(seed)

    def embed(self, pixels: UInt8[np.ndarray, "batch row col 3"]) -> Float32[np.ndarray, "batch dim"]:
        images = torch.from_numpy(np.ascontiguousarray(pixels)).permute(0, 3, 1, 2)
        if len(images) and images.shape[2] == images.shape[3]:
            views = VIEWS(images, images.shape[2], self._source)
            pixels = (views * 255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()
        return self._backbone.embed(pixels)

    def maps(self, pixels: UInt8[np.ndarray, "batch row col 3"]) -> Float32[np.ndarray, "batch _ row_ col_"]:
        return self._backbone.maps(pixels)
