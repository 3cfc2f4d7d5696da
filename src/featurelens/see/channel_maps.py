"""All channels of a layer for one image, strongest first, and its main directions as colours."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from featurelens.backbone.protocol import Backbone
from featurelens.backbone.untouched import untouched
from featurelens.errors import InvalidInput, LayerError
from featurelens.images.decode import DEFAULT_MAX_PIXELS
from featurelens.see.principal import principal_colours
from featurelens.see.read_pixels import read_pixels
from featurelens.see.reading import Reading, with_layers
from featurelens.see.render import enlarge, heat, overlay, save, sheet
from featurelens.see.render.scale import peak_of
from featurelens.shapes import Float32, UInt8

_STRENGTH: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "max": lambda maps: maps.max((1, 2)),
    "mean": lambda maps: maps.mean((1, 2)),
    "spread": lambda maps: np.maximum(maps, 0).std((1, 2)),
    "index": lambda maps: -np.arange(len(maps)),
}


@dataclass(frozen=True, eq=False)
class FeatureMaps:
    """The maps of one layer for one image; `order` lists the channels, strongest first."""

    layer: str
    pixels: UInt8[np.ndarray, "row col 3"]
    maps: Float32[np.ndarray, "channel map_row map_col"]
    order: tuple[int, ...]
    rank: str
    backbone: str

    @property
    def silent(self) -> int:
        """How many channels are the same everywhere (mostly: zero)."""
        return int((np.ptp(self.maps, axis=(1, 2)) == 0).sum())

    def tile(
        self, channel: int, *, side: int = 96, over: bool = False, peak: float | None = None
    ) -> np.ndarray:
        """One channel as a picture, or over the image; signed maps in blue and red."""
        one, signed = self.maps[channel], bool(self.maps.min() < 0)
        rows, cols = _sides(self.pixels.shape[:2] if over else one.shape, side)
        if over:
            return overlay(_resized(self.pixels, rows, cols), one, signed=signed, peak=peak)
        return heat(enlarge(one, rows, cols, smooth=False), signed=signed, peak=peak, percentile=100)

    def sheet(
        self,
        *,
        limit: int | None = 64,
        scale: str = "own",
        over: bool = False,
        columns: int | None = None,
        side: int = 96,
    ) -> UInt8[np.ndarray, "row col 3"]:
        """The strongest `limit` channels (None: all) as tiles, each with its number and largest value.

        `scale` "own" draws each to its own peak, "shared" all to one, so that strengths compare. `over` lays
        them over the image.
        """
        if scale not in ("own", "shared"):
            raise InvalidInput(f"scale='{scale}' must be 'own' or 'shared'.")
        if limit is not None and limit < 1:
            raise InvalidInput(
                f"limit={limit} must be the number of channels to show, 1 or more, or None for all."
            )
        peak = None
        if scale == "shared":
            peak = peak_of(self.maps, signed=bool(self.maps.min() < 0), percentile=99.9)
        shown = self.order[:limit]
        tiles = [self.tile(channel, side=side, over=over, peak=peak) for channel in shown]
        captions = [f"{channel}: {self.maps[channel].max():.3g}" for channel in shown]
        title = (
            f"{self.layer}: {len(shown)} of {len(self.order)} channels, {self.silent} silent, by {self.rank}"
        )
        return sheet(tiles, captions=captions, columns=columns, title=title, text=11, gap=6)

    def colours(self, *, side: int | None = None) -> UInt8[np.ndarray, "row col 3"]:
        """The three main directions of the layer at each place as red, green and blue."""
        drawn = principal_colours(self.maps[None]).pixels[0]
        if side is None:
            return drawn
        return _resized(drawn, *_sides(self.pixels.shape[:2], side))

    def save(self, file: Path, **options: Any) -> list[Path]:
        """Write the sheet (.png), the maps (.npz) and how they were made (.json)."""
        how = {"method": "feature maps", "backbone": self.backbone, "layer": self.layer, "rank": self.rank}
        arrays = {"maps": self.maps, "order": np.array(self.order)}
        return save(file, self.sheet(**options), how={**how, **options}, arrays=arrays)


def feature_maps(
    backbone: Backbone,
    image: Any,
    layer: str,
    *,
    rank: str = "spread",
    exact: bool = False,
    max_pixels: int = DEFAULT_MAX_PIXELS,
) -> FeatureMaps:
    """What each channel of `layer` answers to `image` (path, array or PIL image), place by place.

    Channels are ranked by the "spread" (standard deviation over places) of what lies above zero, by "max" or
    "mean", or stay in order ("index"). Token grids come as maps. `exact` and `max_pixels` as in `decode`. Raises
    LayerError for a layer without places, ImageError.

    >>> from featurelens import load_backbone  # doctest: +SKIP
    >>> net = load_backbone("resnet18", engine="torch")  # doctest: +SKIP
    >>> feature_maps(net, "cat.jpg", "layer2").save(Path("layer2.png"))  # doctest: +SKIP
    """
    return layer_maps(backbone, image, [layer], rank=rank, exact=exact, max_pixels=max_pixels)[0]


def layer_maps(
    backbone: Backbone,
    image: Any,
    layers: list[str],
    *,
    rank: str = "spread",
    exact: bool = False,
    max_pixels: int = DEFAULT_MAX_PIXELS,
) -> list[FeatureMaps]:
    """`feature_maps` of several layers in one pass."""
    if rank not in _STRENGTH:
        raise InvalidInput(f"rank='{rank}' must be one of: {', '.join(_STRENGTH)}.")
    net = with_layers(backbone)
    fit = net.spec.fit
    pixels = read_pixels(image, fit, exact=exact, max_pixels=max_pixels)
    with untouched(net.module), torch.no_grad():
        read = Reading(net, layers, (fit.rows, fit.cols))(net.prepare(pixels[None]), detach=True)
    made = []
    for layer in layers:
        if read[layer].ndim != 4:
            raise LayerError(f"The layer '{layer}' gives a vector, which has no places to draw.")
        maps = read[layer][0].float().cpu().numpy()
        strength = np.nan_to_num(_STRENGTH[rank](maps), nan=-np.inf)
        order = tuple(int(i) for i in np.argsort(-strength, kind="stable"))
        made.append(FeatureMaps(layer, pixels, maps, order, rank, net.spec.name))
    return made


def _sides(shape: tuple[int, ...], side: int) -> tuple[int, int]:
    rows, cols = shape
    return max(1, round(side * rows / max(rows, cols))), max(1, round(side * cols / max(rows, cols)))


def _resized(pixels: np.ndarray, rows: int, cols: int) -> np.ndarray:
    from PIL import Image

    return np.asarray(Image.fromarray(pixels).resize((cols, rows), Image.Resampling.BICUBIC))
