"""Why do these two match? The cosine similarity of two embeddings, split over regions of both images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from featurelens.backbone.protocol import Backbone
from featurelens.errors import BackboneError
from featurelens.images.decode import DEFAULT_MAX_PIXELS, Source
from featurelens.see.left_out import Head, unit
from featurelens.see.lines import Line, strongest
from featurelens.see.read_pixels import read_pixels, refuse_single
from featurelens.shapes import Float, UInt8

Kind = Literal["split", "left out", "map only"]
_POOLED = 1e-5  # 1 - cosine between the embedding and the mean of the map, up to which they are one


@dataclass(frozen=True, eq=False)
class Match:
    """The similarity of two images and where it comes from.

    `a` and `b` hold one value for each cell of the first and of the second image's map. `kind` says which:
    "split": the embedding is the mean of the map, and both sum to the cosine. "left out": an even share, plus what
    the cosine loses when the region (a cell; 2 × 2 of them in maps of 8 × 8 and more) is left out, its place taken by
    the mean of the others; what they do not add up to is the `residual`. "map only": the embedding is not made from the
    map alone; the split is that of the cosine between the maps' means, and `residual` is how far that is from the
    cosine of the embeddings.
    `pairs` [row_a, col_a, row_b, col_b] is the split over region pairs of the cosine between the maps' means.
    """

    cosine: float
    kind: Kind
    a: Float[np.ndarray, "row_a col_a"]
    b: Float[np.ndarray, "row_b col_b"]
    pairs: Float[np.ndarray, "row_a col_a row_b col_b"]
    alike: Float[np.ndarray, "row_a col_a row_b col_b"]
    pixels: tuple[UInt8[np.ndarray, "row col 3"], UInt8[np.ndarray, "row col 3"]]
    backbone: str
    fingerprint: str
    names: tuple[str, str] = ("", "")

    @property
    def residual(self) -> tuple[float, float]:
        """What the regions of the first and of the second image leave unexplained of the cosine."""
        return self.cosine - float(self.a.sum()), self.cosine - float(self.b.sum())

    def lines(self, count: int = 6) -> list[Line]:
        """The strongest region pairs, each region at most once, strongest first."""
        return strongest(self, count)

    def picture(self, **drawing: Any) -> UInt8[np.ndarray, "picture_row picture_col 3"]:
        """Both images with their maps, and lines between regions; `drawing` as in `draw_match`."""
        from featurelens.see.render.matched import draw_match

        return draw_match(self, **drawing)

    def how(self) -> dict[str, Any]:
        """How it was made, for JSON."""
        return {
            "images": self.names,
            "method": "similarity",
            "kind": self.kind,
            "cosine": self.cosine,
            "residual": self.residual,
            "backbone": self.backbone,
            "fingerprint": self.fingerprint,
            "lines": [line.to_json() for line in self.lines()],
        }

    def save(self, file: str | Path) -> list[Path]:
        """Write the picture (.png), the maps (.npz) and how it was made (.json); returns the files."""
        from featurelens.see.render.save import save

        arrays = {"a": self.a, "b": self.b, "pairs": self.pairs}
        return save(Path(file), self.picture(), how=self.how(), arrays=arrays)

    def _repr_html_(self) -> str:
        from featurelens.see.render.inline import as_html

        return as_html(self.picture(), f"similarity {self.cosine:.3f}")


def similarity(
    backbone: Backbone, a: Source, b: Source, *, exact: bool = False, max_pixels: int = DEFAULT_MAX_PIXELS
) -> Match:
    """Split the cosine similarity of two images over their regions. Needs no torch and no gradients.

    Works for every backbone with a map. After Stylianou et al., "Visualizing Deep Similarity Networks" (2019)
    and Zhu et al., "Visual Explanation for Deep Metric Learning" (2021). Raises BackboneError for a
    backbone without a map, ImageError for a file that cannot be read. `exact` and `max_pixels` as in `decode`.

    >>> from featurelens import load_backbone  # doctest: +SKIP
    >>> similarity(load_backbone(), "shoe.jpg", "boot.jpg").a.shape  # doctest: +SKIP
    (8, 8)
    """
    return similarities(backbone, a, [b], exact=exact, max_pixels=max_pixels)[0]


def similarities(
    backbone: Backbone,
    a: Source,
    others: Sequence[Source],
    *,
    exact: bool = False,
    max_pixels: int = DEFAULT_MAX_PIXELS,
) -> list[Match]:
    """`similarity` of one image to several, such as the hits of a search; the work on `a` is done once."""
    fit = backbone.spec.fit
    if not backbone.spec.map_channels:
        raise BackboneError(
            f"'{backbone.spec.name}' gives no map, so it cannot be shown where two images match. The embedded "
            "backbone and most networks do."
        )
    refuse_single(others)
    if not len(others):
        return []
    sources = [a, *others]
    pixels = np.stack([read_pixels(one, fit, exact=exact, max_pixels=max_pixels) for one in sources])
    maps = backbone.maps(pixels)
    means = unit(maps.mean((2, 3), dtype=np.float64))
    head = Head(backbone, maps)
    whole = head.whole if head.decides else backbone.embed(pixels)
    embeddings = unit(whole.astype(np.float64))
    pooled = means.shape == embeddings.shape and bool(((means * embeddings).sum(1) >= 1 - _POOLED).all())
    names = [str(s) if isinstance(s, str | Path) else "" for s in sources]
    kind: Kind = "split" if pooled else "left out" if head.decides else "map only"
    regions = []  # all of them before what numpy's threads do: the engine's would wait for those, and they for it
    for i in range(1, len(sources)):
        if kind == "left out":
            regions.append((head.shares(0, embeddings[i]), head.shares(i, embeddings[0])))
        else:
            regions.append((_shares(maps[0], means[i]), _shares(maps[i], means[0])))
    return [
        Match(
            float(embeddings[0] @ embeddings[i]),
            kind,
            *regions[i - 1],
            pairs=_products(_per_norm(maps[0]), _per_norm(maps[i])),
            alike=_alike(maps[0], maps[i]),
            pixels=(pixels[0], pixels[i]),
            backbone=backbone.spec.name,
            fingerprint=backbone.spec.fingerprint,
            names=(names[0], names[i]),
        )
        for i in range(1, len(sources))
    ]


def _per_norm(one: np.ndarray) -> np.ndarray:
    """The map over the number of its places and the length of its mean: its sum over places has length 1."""
    places = one.shape[1] * one.shape[2]
    return one / max(float(np.linalg.norm(one.mean((1, 2), dtype=np.float64))) * places, 1e-30)


def _shares(one: np.ndarray, other_mean: np.ndarray) -> np.ndarray:
    return np.einsum("crk,c->rk", _per_norm(one.astype(np.float64)), other_mean)


def _products(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    flat = one.reshape(len(one), -1).T @ other.reshape(len(other), -1)
    return flat.reshape(*one.shape[1:], *other.shape[1:]).astype(np.float32)


def _alike(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The cosine between regions, each channel by its spread over both images: what looks alike locally.

    Channels with less than a thousandth of the largest spread count accordingly less.
    """
    both = np.concatenate([one.reshape(len(one), -1), other.reshape(len(other), -1)], axis=1)
    mean, spread = both.mean(1)[:, None, None], both.std(1)[:, None, None]
    scale = np.maximum(spread, max(1e-3 * float(spread.max()), 1e-30))
    first, second = (one - mean) / scale, (other - mean) / scale
    sizes = [np.maximum(np.linalg.norm(m, axis=0, keepdims=True), 1e-30) for m in (first, second)]
    return _products(first / sizes[0], second / sizes[1])
