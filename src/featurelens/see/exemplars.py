"""The images that drive each unit most, kept while a pass over all images goes on."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from featurelens.shapes import Float, Float32, Int64

MAP_SIDE = 28  # a kept map is made no finer than this
_TIE = 1e-10  # less than the distance of neighbouring float32 numbers: decides between equal answers only


class Exemplars:
    """The `top` strongest images of each unit by their largest value over places.

    `image` [unit, top] numbers them in the order of the pass (-1: none), `score` are those values, `place`
    [unit, top, 2] where they lie (row and column as shares of the side), `maps` [unit, top, row, col] the whole
    answer there. `best_mean` is the largest mean over places of any image.
    """

    def __init__(self, *, top: int = 9) -> None:
        self.top = top
        self.seen = 0
        self._key = np.empty((0, top))
        self.image: Int64[np.ndarray, "unit top"] = np.empty((0, top), np.int64)
        self.score: Float32[np.ndarray, "unit top"] = np.empty((0, top), np.float32)
        self.place: Float32[np.ndarray, "unit top 2"] = np.empty((0, top, 2), np.float32)
        self.maps: Float32[np.ndarray, "unit top row col"] = np.empty((0, top, 1, 1), np.float32)
        self.best_mean: Float32[np.ndarray, " unit"] = np.empty(0, np.float32)

    def add(self, output: Float[Tensor, "batch unit ..."]) -> Float32[np.ndarray, "batch unit"]:
        """Take one batch of maps or vectors; returns the largest value over places of each image and unit."""
        flat = output.flatten(2) if output.ndim > 2 else output.unsqueeze(-1)
        strongest, at = flat.max(2)
        values = strongest.float().cpu().numpy()
        means = flat.float().mean(2).cpu().numpy()
        if not self.seen:
            self._begin(output)
        self.best_mean = np.fmax(self.best_mean, np.fmax.reduce(means, axis=0))
        # Of equal answers (ReLU6 ends at 6) the one that fills more of the image comes first.
        keys = values.astype(np.float64) + _TIE * means
        ranked = np.concatenate([self._key, np.nan_to_num(keys, nan=-np.inf).T], axis=1)
        order = np.argsort(-ranked, axis=1, kind="stable")[:, : self.top]
        self._take(order, ranked, values, output, at)
        self.seen += len(output)
        return values

    def _take(
        self, order: np.ndarray, ranked: np.ndarray, values: np.ndarray, output: Tensor, at: Tensor
    ) -> None:
        """Keep what `order` [unit, top] chose among those kept so far and the batch behind them."""
        self._key = np.take_along_axis(ranked, order, 1)
        empty = self._key == -np.inf  # fewer images than slots, or answers that are no numbers
        new = (order >= self.top) & ~empty
        unit, slot = np.nonzero(new)
        batch = order[unit, slot] - self.top
        kept = np.minimum(order, self.top - 1)
        self.score = np.where(empty, -np.inf, np.take_along_axis(self.score, kept, 1)).astype(np.float32)
        self.image = np.where(empty, -1, np.take_along_axis(self.image, kept, 1))
        self.place = np.take_along_axis(self.place, kept[..., None], 1)
        moved = (kept != np.arange(self.top)).any(1) | new.any(1)
        self.maps[moved] = np.take_along_axis(self.maps[moved], kept[moved][..., None, None], 1)
        if not len(unit):
            return
        self.image[unit, slot] = self.seen + batch
        self.score[unit, slot] = values[batch, unit]
        b, u = (torch.from_numpy(index).to(output.device) for index in (batch, unit))
        if output.ndim > 2:
            rows, cols = output.shape[2:]
            spot = at[b, u].cpu().numpy()
            self.place[unit, slot] = np.stack(
                [(spot // cols + 0.5) / rows, (spot % cols + 0.5) / cols], axis=1
            )
            chosen = output[b, u].float()
            chosen = F.adaptive_max_pool2d(chosen[:, None], self.maps.shape[2:])[:, 0]
            self.maps[unit, slot] = chosen.cpu().numpy()

    def _begin(self, output: Tensor) -> None:
        units = output.shape[1]
        rows, cols = (min(side, MAP_SIDE) for side in output.shape[2:]) if output.ndim > 2 else (1, 1)
        self.image = np.full((units, self.top), -1, np.int64)
        self.score = np.full((units, self.top), -np.inf, np.float32)
        self._key = np.full((units, self.top), -np.inf)
        self.place = np.full((units, self.top, 2), 0.5, np.float32)
        self.maps = np.zeros((units, self.top, rows, cols), np.float32)
        self.best_mean = np.full(units, -np.inf, np.float32)
