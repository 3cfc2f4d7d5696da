"""The layers that stand for a network's stages, from edges to parts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from featurelens.backbone.layout import layouts
from featurelens.backbone.protocol import Backbone
from featurelens.backbone.token_grid import Layout
from featurelens.errors import LayerError
from featurelens.features.progress import Meter, OnProgress
from featurelens.images.decode import DEFAULT_MAX_PIXELS
from featurelens.see.channel_maps import FeatureMaps, layer_maps
from featurelens.see.maximization import maximize
from featurelens.see.pictures import Picture
from featurelens.see.reading import with_layers
from featurelens.see.render import save, sheet
from featurelens.shapes import UInt8

_FEWEST_PLACES = 9


def stage_layers(backbone: Backbone, *, most: int = 5) -> list[str]:
    """The last layer at each resolution; where there is one resolution only (ViT), blocks spread over the depth.

    Raises LayerError for a network whose outer layers have no places.
    """
    net = with_layers(backbone)
    fit = net.spec.fit
    listed = [layer for layer in net.layers() if layer.name.count(".") <= 1]
    holders = {layer.name.rpartition(".")[0] for layer in listed}
    names = [layer.name for layer in listed if layer.name not in holders or not layer.name]
    found = layouts(net.module, names, (fit.rows, fit.cols))
    shapes = {layer.name: layer.shape for layer in listed}
    grids: dict[str, tuple[int, int]] = {}
    for name in names:
        grid = _grid(found[name], shapes[name])
        if grid is not None and grid[0] * grid[1] >= _FEWEST_PLACES:
            grids[name] = grid
    last = {grid: name for name, grid in grids.items()}
    if not last:
        raise LayerError(
            f"No outer layer of '{net.spec.name}' has places. Name layers; `featurelens layers` lists them."
        )
    if len(last) >= 3:
        chosen = [name for name in grids if name in last.values()]
        return chosen[-most:] if len(chosen) > most else chosen
    numbered = [name for name in grids if name.rpartition(".")[2].isdecimal()] or list(grids)
    at = np.linspace(0, len(numbered) - 1, min(most, len(numbered))).round().astype(int)
    return [numbered[i] for i in dict.fromkeys(at.tolist())]


@dataclass(frozen=True, eq=False)
class Hierarchy:
    """One image at several depths: for each layer its maps, and pictures of its strongest channels, if made."""

    stages: tuple[FeatureMaps, ...]
    pictures: tuple[tuple[Picture, ...], ...]
    channels: int

    def page(self, *, side: int = 120) -> UInt8[np.ndarray, "row col 3"]:
        """Everything on one page: a row for each layer, main directions first, then the strongest channels."""
        rows = []
        for i, stage in enumerate(self.stages):
            shown = stage.order[: self.channels]
            tiles = [stage.colours(side=side)] + [stage.tile(c, side=side, over=True) for c in shown]
            grid = " x ".join(map(str, stage.maps.shape[1:]))
            captions = ["main directions", *(f"channel {c}" for c in shown)]
            if self.pictures:
                tiles.append(_fitted(stage.pixels, side))
                captions.append("the image")
                for picture in self.pictures[i]:
                    tiles.append(_fitted(picture.pixels, side))
                    captions.append("what it seeks" if picture.alive else "no response")
            title = f"{stage.layer}: {len(stage.maps)} channels of {grid}"
            rows.append(sheet(tiles, captions=captions, columns=len(shown) + 1, title=title, text=11, gap=6))
        image = sheet([_fitted(self.stages[0].pixels, 2 * side)], gap=6)
        return _stacked([image, *rows])

    def save(self, file: Path, *, side: int = 120) -> list[Path]:
        """Write the page (.png) and how it was made (.json)."""
        how: dict[str, Any] = {
            "method": "hierarchy",
            "backbone": self.stages[0].backbone,
            "layers": [stage.layer for stage in self.stages],
            "strongest": {stage.layer: list(stage.order[: self.channels]) for stage in self.stages},
        }
        return save(file, self.page(side=side), how=how)


def hierarchy(
    backbone: Backbone,
    image: Any,
    *,
    layers: list[str] | None = None,
    channels: int = 6,
    synthetic: bool = False,
    steps: int = 128,
    size: int | None = None,
    exact: bool = False,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    on_progress: OnProgress | None = None,
) -> Hierarchy:
    """What a network makes of one image from its first layers (edges) to its last (parts), on one page.

    `layers` default to `stage_layers`; of each come the `channels` with the largest answer. `synthetic` adds,
    for each of them, the picture that drives it most (`maximize`, with `steps` and `size`), which takes time and is
    told to `on_progress`. `exact` and `max_pixels` as in `decode`.
    """
    names = layers or stage_layers(backbone)
    stages = layer_maps(backbone, image, names, exact=exact, max_pixels=max_pixels)
    pictures: list[tuple[Picture, ...]] = []
    if synthetic:
        wanted = [[f"{stage.layer}:{channel}" for channel in stage.order[:channels]] for stage in stages]
        meter = Meter(sum(map(len, wanted)) * steps, on_progress)
        for some in wanted:
            made = maximize(
                backbone,
                some,
                steps=steps,
                size=size,
                on_progress=lambda p, before=meter.done: meter.step(before + p.done - meter.done),
            )
            pictures.append(tuple(made))
    return Hierarchy(tuple(stages), tuple(pictures), channels)


def _grid(found: tuple[Layout, ...], shape: tuple[int, ...]) -> tuple[int, int] | None:
    if len(found) != 1 or not found[0].spatial:
        return None
    (layout,) = found
    if layout.grid is not None:
        return layout.grid
    if "row" not in layout.axes or len(layout.axes) != len(shape):
        return None
    return shape[layout.axes.index("row")], shape[layout.axes.index("col")]


def _fitted(pixels: np.ndarray, side: int) -> np.ndarray:
    from PIL import Image

    rows, cols = (max(1, round(side * n / max(pixels.shape[:2]))) for n in pixels.shape[:2])
    return np.asarray(Image.fromarray(pixels).resize((cols, rows), Image.Resampling.LANCZOS))


def _stacked(rows: list[np.ndarray]) -> np.ndarray:
    width = max(row.shape[1] for row in rows)
    return np.concatenate(
        [np.pad(row, ((0, 0), (0, width - row.shape[1]), (0, 0)), constant_values=255) for row in rows]
    )
