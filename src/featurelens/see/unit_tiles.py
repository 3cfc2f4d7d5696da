"""The strongest images of a unit as tiles, lit where the unit answers, its peak marked."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw

from featurelens.errors import ImageError
from featurelens.see.passing import pixels_of
from featurelens.see.render import enlarge
from featurelens.see.unit_pass import LayerUnits, Units
from featurelens.shapes import UInt8

_DIM = 0.45  # what is left of the light where the unit does not answer


class Tiles:
    """Draws tiles of `side` pixels; each image is decoded once while it stays among the last 2,000 used."""

    def __init__(self, units: Units, layer: LayerUnits, *, side: int) -> None:
        self._units, self._layer, self._side = units, layer, side
        self._thumbnail = lru_cache(2000)(self._decoded)

    def sheet(self, unit: int) -> Image.Image:
        """All exemplars of a unit side by side, strongest first; empty places stay white."""
        top = self._layer.image.shape[1]
        strip = Image.new("RGB", (top * self._side, self._side), "white")
        for slot in range(top):
            if self._layer.image[unit, slot] >= 0:
                strip.paste(Image.fromarray(self._tile(unit, slot)), (slot * self._side, 0))
        return strip

    def _tile(self, unit: int, slot: int) -> UInt8[np.ndarray, "row col 3"]:
        pixels = self._thumbnail(int(self._layer.image[unit, slot]))
        answer = self._layer.maps[unit, slot]
        if answer.size <= 1:
            return pixels
        light = np.clip(enlarge(answer / max(float(answer.max()), 1e-12), self._side, self._side), 0, 1)
        # Half the peak and more is fully lit: the region that the unit answers to.
        lit = _DIM + (1 - _DIM) * np.clip(2 * light, 0, 1)
        image = Image.fromarray(np.rint(pixels * lit[..., None]).astype(np.uint8))
        row, col = (float(share) * self._side for share in self._layer.place[unit, slot])
        reach = max(5.0, 0.5 * self._side / answer.shape[0])
        draw = ImageDraw.Draw(image)
        for extra, colour in ((1, (0, 0, 0)), (0, (255, 255, 255))):
            box = [col - reach - extra, row - reach - extra, col + reach + extra, row + reach + extra]
            draw.rectangle([min(max(edge, 0.0), self._side - 1.0) for edge in box], outline=colour)
        return np.asarray(image)

    def _decoded(self, image: int) -> UInt8[np.ndarray, "row col 3"]:
        try:
            one, units = self._units.images[image], self._units
            pixels = pixels_of(one, units.fit, max_pixels=units.max_pixels)
        except ImageError:  # it was there during the pass
            return np.full((self._side, self._side, 3), 200, np.uint8)
        resized = Image.fromarray(pixels).resize((self._side, self._side), Image.Resampling.LANCZOS)
        return np.asarray(resized)
