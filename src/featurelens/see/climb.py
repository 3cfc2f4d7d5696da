"""A batch of pictures on their way up, each with its own objective, views and random stream."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from featurelens.see.ascent import Ascent
from featurelens.see.canvas import Canvas
from featurelens.see.objectives import Objective, Outputs
from featurelens.see.pictures import Picture
from featurelens.see.reading import Reading
from featurelens.see.streams import stream
from featurelens.see.transforms import Views, look
from featurelens.shapes import Float

_PATIENCE = 4  # steps without a gradient after which a picture starts anew
_BOLDER = 4.0  # how much more contrast each new start has


class Climb:
    """`step()` moves all pictures once; `finish()` gives them. The network must be `untouched` around it."""

    def __init__(
        self,
        reading: Reading,
        objectives: Sequence[Objective],
        canvas: Canvas,
        views: Views,
        *,
        steps: int,
        rate: float | None,
        seed: int,
        retries: int,
    ) -> None:
        self._reading, self._objectives, self._canvas, self._views = reading, objectives, canvas, views
        self._keys = [(seed, one.name, copy) for one in objectives for copy in range(one.copies)]
        self._ends = np.cumsum([one.copies for one in objectives]).tolist()
        self._device = reading.backbone.device
        streams = [stream(*key) for key in self._keys]
        starts = torch.stack([canvas.start(one, 1.0) for one in streams])
        self._matrices = views.matrices(streams, steps).to(self._device)
        self._noise = [stream(*key, "noise") for key in self._keys] if views.noise else []
        self._ascent = Ascent(starts.to(self._device), rate=canvas.rate if rate is None else rate)
        self._now, self._retries = 0, retries
        self._attempts = [1] * self.pictures
        self._silent = [0] * self.pictures
        self._heard = [False] * self.pictures
        self._importance = torch.zeros(self.pictures, *reading.size, device=self._device)

    @property
    def pictures(self) -> int:
        """How many pictures are on their way."""
        return len(self._keys)

    def step(self) -> None:
        """One pass forward to the objectives' layers, one back to the pictures, one move."""
        parameters = self._ascent.parameters.detach().requires_grad_()
        drawn = self._canvas.draw(parameters)
        drawn.retain_grad()
        views = look(drawn, self._matrices[:, self._now])
        if self._noise:
            views = views + self._views.noise * self._drawn_noise()
        outputs = self._reading(views)
        score, apart = self._scores(outputs, self._views.count).sum(), self._apart(outputs)
        own = None
        if apart is not None and not all(self._heard):  # what keeps copies apart does not make a unit answer
            (own,) = torch.autograd.grad(score, drawn, retain_graph=True)
        (score if apart is None else score + apart).backward()
        self._now += 1
        if parameters.grad is None or drawn.grad is None:
            self._count_silence(torch.zeros(self.pictures))
            return
        gradient = parameters.grad.nan_to_num_(0.0, 0.0, 0.0)
        weight = drawn.grad.nan_to_num_(0.0, 0.0, 0.0).abs().sum(1)
        total = _sizes(weight)
        self._importance += weight / total.clamp_min(torch.finfo(total.dtype).tiny).view(-1, 1, 1)
        self._ascent.step(gradient)
        self._count_silence(total if own is None else _sizes(own))

    def finish(self, natural: Sequence[float | None]) -> list[list[Picture]]:
        """For each objective its pictures, scored as they will be seen: without views, rounded to 8 bits."""
        with torch.no_grad():
            drawn = self._canvas.draw(self._ascent.parameters)
            pixels = (drawn * 255).round().clamp(0, 255)
            scores = self._scores(self._reading(pixels / 255, detach=True), 1)
        importance = _smoothed(self._importance).cpu().numpy()
        shown = pixels.permute(0, 2, 3, 1).to(torch.uint8).cpu().numpy()
        made = []
        for one, end, best in zip(self._objectives, self._ends, natural, strict=True):
            made.append(
                [
                    Picture(
                        name=one.name,
                        pixels=np.ascontiguousarray(shown[i]),
                        importance=importance[i],
                        activation=float(scores[i]),
                        natural=best,
                        alive=self._heard[i],
                        attempts=self._attempts[i],
                        copy=i - (end - one.copies),
                    )
                    for i in range(end - one.copies, end)
                ]
            )
        return made

    def _scores(self, outputs: Outputs, count: int) -> Float[Tensor, " picture"]:
        """Each picture's score, the mean over its views."""
        return torch.cat(
            [
                one.score(own).view(one.copies, count).mean(1)
                for one, own in zip(self._objectives, self._own(outputs, count), strict=True)
            ]
        )

    def _apart(self, outputs: Outputs) -> Tensor | None:
        """The sum of what keeps copies apart, of each picture's first view; None where nothing does."""
        count = self._views.count
        found = [
            one.apart({n: x[::count] for n, x in own.items()}).sum()
            for one, own in zip(self._objectives, self._own(outputs, count), strict=True)
            if one.apart is not None
        ]
        return torch.stack(found).sum() if found else None

    def _own(self, outputs: Outputs, count: int) -> Iterator[Outputs]:
        """What the layers of each objective gave for its own pictures."""
        for one, end in zip(self._objectives, self._ends, strict=True):
            yield {n: outputs[n][(end - one.copies) * count : end * count] for n in one.layers}

    def _count_silence(self, gradients: Tensor) -> None:
        for i, size in enumerate(gradients.tolist()):
            if size > 0:
                self._silent[i], self._heard[i] = 0, True
                continue
            self._silent[i] += 1
            if self._silent[i] >= _PATIENCE and not self._heard[i] and self._attempts[i] <= self._retries:
                again = stream(*self._keys[i], "attempt", self._attempts[i])
                self._ascent.restart(i, self._canvas.start(again, _BOLDER ** self._attempts[i]))
                self._attempts[i] += 1
                self._silent[i] = 0

    def _drawn_noise(self) -> Tensor:
        shape = (self._views.count, 3, *self._reading.size)
        return torch.cat([torch.randn(shape, generator=one) for one in self._noise]).to(self._device)


def _sizes(gradient: Tensor) -> Float[Tensor, " picture"]:
    return gradient.nan_to_num(0.0, 0.0, 0.0).abs().flatten(1).sum(1)


def _smoothed(importance: Tensor) -> Tensor:
    """0 … 1 for each picture: blurred a little, from its 1st to its 95th percentile."""
    side = max(3, 2 * (importance.shape[-1] // 32) + 1)
    x = importance[:, None]
    for _ in range(2):
        x = F.avg_pool2d(F.pad(x, [side // 2] * 4, mode="replicate"), side, stride=1)
    flat = x.flatten(1)
    low, high = (torch.quantile(flat, q, dim=1).view(-1, 1, 1) for q in (0.01, 0.95))
    return ((x[:, 0] - low) / (high - low).clamp_min(1e-12)).clamp(0, 1)
