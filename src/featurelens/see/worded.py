"""Where in an image does a text apply? The cosine of an image and a text, split over regions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from featurelens.backbone.protocol import Backbone, with_text
from featurelens.errors import InvalidInput
from featurelens.images.decode import DEFAULT_MAX_PIXELS, Source
from featurelens.see.left_out import Head, unit
from featurelens.see.read_pixels import read_pixels
from featurelens.shapes import Float, UInt8

Kind = Literal["split", "left out", "covered"]
_POOLED, _BATCH = 1e-5, 32


@dataclass(frozen=True, eq=False)
class TextMatch:
    """The cosine of an image and a text, and where in the image it comes from.

    `values` has one number a region. "split": the embedding is the mean of the map, and they sum to the cosine. "left
    out": an even share, plus what the cosine loses when the region is left out of the map. "covered": what it loses when
    the region is painted over with the image's mean colour. `residual` is what they do not add up to.
    """

    text: str
    cosine: float
    kind: Kind
    values: Float[np.ndarray, "row col"]
    pixels: UInt8[np.ndarray, "height width 3"]
    backbone: str
    fingerprint: str
    name: str = ""

    @property
    def residual(self) -> float:
        """What the regions leave unexplained of the cosine."""
        return self.cosine - float(self.values.sum())

    def picture(self, **drawing: Any) -> UInt8[np.ndarray, "picture_row picture_col 3"]:
        """The image beside the map laid over it; `drawing` as in `draw_text_match`."""
        from featurelens.see.render.worded import draw_text_match

        return draw_text_match(self, **drawing)

    def how(self) -> dict[str, Any]:
        """How it was made, for JSON."""
        kept = ("text", "kind", "cosine", "residual", "backbone", "fingerprint")
        return {"image": self.name, "method": "similarity"} | {name: getattr(self, name) for name in kept}

    def save(self, file: str | Path) -> list[Path]:
        """Write the picture (.png), the map (.npz) and how it was made (.json); returns the files."""
        from featurelens.see.render.save import save

        return save(
            Path(file), self.picture(), how=self.how(), arrays={"values": self.values, "pixels": self.pixels}
        )

    def _repr_html_(self) -> str:
        from featurelens.see.render.inline import as_html

        return as_html(self.picture(), f"“{self.text}” {self.cosine:.3f}")


def text_similarity(
    backbone: Backbone,
    image: Source,
    text: str,
    *,
    grid: int = 8,
    exact: bool = False,
    max_pixels: int = DEFAULT_MAX_PIXELS,
) -> TextMatch:
    """Split the cosine of an image and a text over regions. Needs no torch and no gradients.

    The map's own regions where the embedding is made from it; else `grid` x `grid` squares that are covered one by one
    (Zeiler and Fergus, "Visualizing and Understanding Convolutional Networks", 2014), as for CLIP's transformers, whose
    class token is all that they give. Raises BackboneError for a backbone without a text tower, InvalidInput for an
    empty text, ImageError. `exact` and `max_pixels` as in `decode`.

    >>> from featurelens import load_backbone  # doctest: +SKIP
    >>> text_similarity(load_backbone("clip:DIR"), "room.jpg", "a red dress").values.shape  # doctest: +SKIP
    (8, 8)
    """
    net = with_text(backbone, "Explaining a text")
    fit = net.spec.fit
    if not text.strip():
        raise InvalidInput("An empty text applies nowhere; write what the image shows.")
    if not 1 < grid <= min(fit.rows, fit.cols):
        raise InvalidInput(f"grid is {grid}; expected 2 to {min(fit.rows, fit.cols)} squares a side.")
    wanted = unit(net.embed_text([text]).astype(np.float64))[0]
    pixels = read_pixels(image, fit, exact=exact, max_pixels=max_pixels)
    whole = unit(net.embed(pixels[None]).astype(np.float64))[0]
    found = _by_map(net, pixels, whole, wanted)
    kind, values = found or ("covered", _covered(net, pixels, float(whole @ wanted), wanted, grid))
    return TextMatch(
        text,
        float(whole @ wanted),
        kind,
        values,
        pixels,
        net.spec.name,
        net.spec.fingerprint,
        name=str(image) if isinstance(image, str | Path) else "",
    )


def _by_map(
    net: Backbone, pixels: np.ndarray, whole: np.ndarray, wanted: np.ndarray
) -> tuple[Kind, np.ndarray] | None:
    """By the regions of the map; None where there is more to the embedding than the map."""
    if not net.spec.map_channels:
        return None
    maps = net.maps(pixels[None])
    mean = maps.mean((2, 3), dtype=np.float64)
    if mean.shape[1:] == whole.shape and float(unit(mean)[0] @ whole) >= 1 - _POOLED:
        places = maps.shape[2] * maps.shape[3]
        return "split", np.einsum("crk,c->rk", maps[0] / (places * np.linalg.norm(mean)), wanted)
    head = Head(net, maps)
    return ("left out", head.shares(0, wanted)) if head.decides else None


def _covered(net: Backbone, pixels: np.ndarray, whole: float, wanted: np.ndarray, grid: int) -> np.ndarray:
    mean = pixels.reshape(-1, 3).mean(0).round().astype(np.uint8)
    rows, cols = (np.linspace(0, side, grid + 1).round().astype(int) for side in pixels.shape[:2])
    left = np.empty(grid * grid)
    for start in range(0, grid * grid, _BATCH):
        places = range(start, min(start + _BATCH, grid * grid))
        covered = np.repeat(pixels[None], len(places), 0)
        for one, place in zip(covered, places, strict=True):
            row, col = divmod(place, grid)
            one[rows[row] : rows[row + 1], cols[col] : cols[col + 1]] = mean
        left[start : start + len(places)] = unit(net.embed(covered).astype(np.float64)) @ wanted
    return (whole - left).reshape(grid, grid)
