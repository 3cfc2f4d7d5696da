"""A moving average of the weights that learn (EMA), to be put in their place for testing and at the end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class Average:
    """Follows the named parameters and floating buffers; `keep` is how much of the average stays at each step."""

    def __init__(self, module: nn.Module, names: Iterable[str], *, keep: float) -> None:
        self._keep, self.steps = keep, 0
        wanted = set(names)
        self._live = {n: p for n, p in module.named_parameters() if n in wanted}
        self._live |= {n: b for n, b in module.named_buffers() if b.is_floating_point()}
        self.values = {name: tensor.detach().clone() for name, tensor in self._live.items()}

    @torch.no_grad()
    def follow(self) -> None:
        """Move towards the weights as they are now; quickly at first, so that the start is soon forgotten."""
        self.steps += 1
        keep = min(self._keep, self.steps / (self.steps + 9))
        for name, tensor in self._live.items():
            if not torch.equal(self.values[name], tensor):  # what did not move stays bit for bit
                self.values[name].lerp_(tensor, 1 - keep)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The network computes with the average; afterwards with its own weights again."""
        own = {name: tensor.detach().clone() for name, tensor in self._live.items()}
        self.put()
        try:
            yield
        finally:
            with torch.no_grad():
                for name, tensor in self._live.items():
                    tensor.copy_(own[name])

    @torch.no_grad()
    def put(self) -> None:
        """Put the average in the place of the weights."""
        for name, tensor in self._live.items():
            tensor.copy_(self.values[name])

    def state_dict(self) -> dict[str, Tensor | int]:
        return {**self.values, "steps": self.steps}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        self.steps = int(state["steps"])
        for name, value in self.values.items():
            value.copy_(state[name])
