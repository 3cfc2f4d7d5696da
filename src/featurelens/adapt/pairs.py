"""Where positive pairs come from: two renderings of one procedural programme, or one image twice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor
from torch.nn import functional as F

from featurelens.images.procedural import render_tensor
from featurelens.shapes import Int64, UInt8


@runtime_checkable
class Pairs(Protocol):
    """Gives positive pairs; what it gives at a step depends on the step and the seed only."""

    def at(self, step: int, count: int, source: torch.Generator) -> tuple[Tensor, Tensor]: ...


class ProceduralPairs:
    """A pool of programmes in memory, slowly renewed: renders are dear, so each is used a few times.

    At step `s` the pool holds the chunks of programmes that an uninterrupted run would hold, so that a
    killed run goes on exactly where it was.
    """

    def __init__(
        self, *, pool: int, views: int, size: int, refresh: int, seed: int, device: str = "cpu", step: int = 0,
        mixture: Mapping[str, int] | None = None, chunk: int = 64,
    ) -> None:  # fmt: skip
        self._chunk, self._chunks = chunk, max(1, pool // chunk)
        self._every = max(1, chunk // refresh) if refresh else 0
        self._draw = lambda number: render_tensor(
            programmes=chunk,
            views=views,
            size=size,
            seed=seed * 1_000_003 + number,
            device=device,
            mixture=mixture,
        ).unflatten(0, (chunk, views))
        newest = self._newest(step)
        held = sorted(range(max(0, newest - self._chunks), newest), key=lambda number: number % self._chunks)
        self._pool = torch.cat([self._draw(number) for number in held])
        self._next = newest

    def _newest(self, step: int) -> int:
        return self._chunks + (step // self._every if self._every else 0)

    def at(self, step: int, count: int, source: torch.Generator) -> tuple[Tensor, Tensor]:
        """Two renderings (sometimes the same one twice) of `count` random programmes, uint8 `[pair, 3, row, col]`."""
        while self._next < self._newest(step):
            start = self._next % self._chunks * self._chunk
            self._pool[start : start + self._chunk] = self._draw(self._next)
            self._next += 1
        programmes, views = self._pool.shape[:2]
        device = self._pool.device
        row = torch.randint(programmes, (count,), generator=source, device=device)
        first = torch.randint(views, (count,), generator=source, device=device)
        second = torch.randint(views, (count,), generator=source, device=device)
        return self._pool[row, first], self._pool[row, second]


class ImagePairs:
    """Unlabelled images in memory; both views of a pair come from the same image."""

    def __init__(self, images: UInt8[Tensor, "image 3 row col"]) -> None:
        self._images = images

    def __len__(self) -> int:
        return len(self._images)

    def at(self, step: int, count: int, source: torch.Generator) -> tuple[Tensor, Tensor]:
        """`count` random images, twice; none comes in two pairs unless there are too few."""
        total, device = len(self._images), self._images.device
        if count <= total:
            chosen = torch.randperm(total, generator=source, device=device)[:count]
        else:
            chosen = torch.randint(total, (count,), generator=source, device=device)
        images = self._images[chosen]
        return images, images


@dataclass(frozen=True)
class Labelled:
    """Images with the numbers of their classes, for a monitor that looks at labels and never trains on them."""

    images: UInt8[Tensor, "image 3 row col"]
    labels: Int64[Tensor, "image"]

    def views(self, size: int) -> Iterator[Tensor]:
        """The images in [0, 1] at `size` × `size` pixels, 128 at a time."""
        for part in self.images.split(128):
            small = F.interpolate(part.float() / 255, (size, size), mode="bilinear", antialias=True)
            yield small.clamp(0, 1)
