"""What a run learns from, batch by batch: rows of features, or photos that are decoded ahead."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from featurelens.adapt.views import random_views
from featurelens.backbone.request import free_cores
from featurelens.backbone.torch_backbone import TorchBackbone
from featurelens.errors import FeaturelensError, ReadError
from featurelens.images.batches import in_batches
from featurelens.images.decode import decode

Seeded = Callable[[int], torch.Generator]
"""A generator for the batch of this number."""


@runtime_checkable
class Lessons(Protocol):
    """Gives the network's inputs for lists of image numbers, in order."""

    def batches(self, order: Sequence[Sequence[int]], source: Seeded | None = None) -> Iterator[Tensor]:
        """One tensor for each list; with `source` augmented (teaching), without as they are (testing)."""
        ...


class Rows:
    """Features, centred and divided by their typical length so that one learning rate suits every backbone."""

    def __init__(
        self, rows: np.ndarray, teach: np.ndarray, *, device: Any = "cpu", scaled: bool = True
    ) -> None:
        self.centre, self.scale = torch.zeros(rows.shape[1]), 1.0
        if scaled:
            taught = rows[teach].astype(np.float64)
            self.centre = torch.from_numpy(taught.mean(0).astype(np.float32))
            self.scale = float(np.sqrt(taught.var(0).sum())) or 1.0
        self._rows = ((torch.from_numpy(rows) - self.centre) / self.scale).to(device)

    def batches(self, order: Sequence[Sequence[int]], source: Seeded | None = None) -> Iterator[Tensor]:
        for batch in order:
            yield self._rows[torch.tensor(batch, device=self._rows.device)]

    @torch.no_grad()
    def into(self, head: torch.nn.Linear, learnt: torch.nn.Linear) -> None:
        """Give `head`, which takes raw features, what `learnt` knows of centred ones."""
        head.weight.copy_(learnt.weight / self.scale)
        head.bias.copy_(learnt.bias - head.weight @ self.centre.to(head.weight.device))


class Photos:
    """Images decoded by a few threads, some batches ahead, cropped and mirrored at random where they teach."""

    def __init__(
        self, images: Sequence[Any], ids: Sequence[str], backbone: TorchBackbone, *, area: float, flip: float
    ):
        self._images, self._ids, self._backbone = images, ids, backbone
        self._views = {"area": area, "flip": flip}

    def batches(self, order: Sequence[Sequence[int]], source: Seeded | None = None) -> Iterator[Tensor]:
        fit, net = self._backbone.spec.fit, self._backbone
        if not order:
            return
        # in_batches cuts evenly; a short batch stands at the end only
        found = in_batches(
            [row for batch in order for row in batch],
            self._load,
            lambda pixels: pixels,
            shape=(fit.rows, fit.cols),
            batch_size=len(order[0]),
            workers=free_cores(),
            streams=free_cores(),
        )
        try:
            for number, batch in enumerate(found):
                for row, error in batch.failures:
                    raise self._gone(row, error)
                assert batch.result is not None
                x01 = net.prepare(batch.result)
                if source is not None:
                    x01 = random_views(x01, source(number), **self._views)
                yield net.normalize(x01)
        finally:
            found.close()  # pyright: ignore[reportAttributeAccessIssue]

    def _load(self, row: int) -> tuple[np.ndarray, None]:
        try:
            return decode(self._images[row], fit=self._backbone.spec.fit).pixels, None
        except OSError as error:
            raise ReadError(f"cannot be read: {error.strerror or error}") from error

    def _gone(self, row: int, error: ReadError) -> FeaturelensError:
        return FeaturelensError(
            f"{self._ids[row]} could be read when the run began and cannot now: {error.reason}. Put it back, or run "
            "again in a new folder without it. The last checkpoint is kept."
        )
