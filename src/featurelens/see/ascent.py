"""The optimiser: Adam, on its own for each picture, so that one can start anew while the others go on."""

from __future__ import annotations

import torch
from torch import Tensor


class Ascent:
    """Moves `parameters` [picture, ...] up their gradients in place.

    Adam (Kingma and Ba, 2015). Each picture's gradient is first divided by its own root mean square, so that
    the size of an objective does not matter.
    """

    def __init__(
        self, parameters: Tensor, *, rate: float, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8
    ) -> None:
        self.parameters, self.rate, self.betas, self.eps = parameters, rate, betas, eps
        self._mean, self._square = torch.zeros_like(parameters), torch.zeros_like(parameters)
        self._steps = torch.zeros(len(parameters), *[1] * (parameters.ndim - 1), device=parameters.device)

    @torch.no_grad()
    def step(self, gradient: Tensor) -> None:
        """One step up; a picture whose gradient is zero moves only by what it has gathered."""
        size = gradient.flatten(1).square().mean(1).sqrt().view_as(self._steps)
        gradient = gradient / size.clamp_min(torch.finfo(gradient.dtype).tiny)
        first, second = self.betas
        self._steps += 1
        self._mean.lerp_(gradient, 1 - first)
        self._square.lerp_(gradient.square(), 1 - second)
        mean = self._mean / (1 - first**self._steps)
        square = self._square / (1 - second**self._steps)
        self.parameters += self.rate * mean / (square.sqrt() + self.eps)

    @torch.no_grad()
    def restart(self, picture: int, parameters: Tensor) -> None:
        """Give one picture new parameters and forget what was gathered for it."""
        self.parameters[picture] = parameters.to(self.parameters)
        for state in (self._mean, self._square, self._steps):
            state[picture] = 0
