"""The backbone: ROCKET (Dempster, Petitjean and Webb, "ROCKET: exceptionally fast and accurate time series
classification using random convolutional kernels", 2020), its share-of-positive-values features."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from featurelens.backbone import Spec
from featurelens.backbone.request import Request
from featurelens.errors import BackboneError

POINTS, KERNELS = 512, 500


def load(request: Request) -> RocketBackbone:
    """`curves:rocket`, or `curves:rocket-N` for N kernels; featurelens calls this by the entry point."""
    request.refuse("A curves: backbone", size=request.size, weights=request.weights)
    name, _, count = request.rest.partition("-")
    if name != "rocket" or not (count.isdigit() or not count):
        raise BackboneError(f"There is no '{request.name}'; known are curves:rocket and curves:rocket-200.")
    return RocketBackbone(int(count or KERNELS), name=request.name)


@dataclass(frozen=True)
class _Kernel:
    weights: np.ndarray
    bias: float
    dilation: int
    padding: int


class RocketBackbone:
    """Every random kernel gives the share of the curve where its answer is positive, from -0.5 to 0.5."""

    streams = 1

    def __init__(self, kernels: int, *, name: str) -> None:
        random = np.random.default_rng(0)
        self._kernels = [_drawn(random) for _ in range(kernels)]
        self.spec = Spec(
            name,
            weights=f"rocket 1 {kernels}",
            dim=kernels,
            licence="apache-2.0",
            modality="curve",
            reading={"points": POINTS},
        )

    def embed(self, curves: np.ndarray, /) -> np.ndarray:
        """float32 [curve, dim] of curves [curve, point]."""
        return np.stack([self._share(curves, one) for one in self._kernels], 1).astype(np.float32)

    def maps(self, curves: np.ndarray, /) -> np.ndarray:
        """BackboneError: curves have no map."""
        raise BackboneError(f"'{self.spec.name}' gives no map.")

    @staticmethod
    def _share(curves: np.ndarray, kernel: _Kernel) -> np.ndarray:
        padded = np.pad(curves, ((0, 0), (kernel.padding, kernel.padding)))
        reach = (len(kernel.weights) - 1) * kernel.dilation
        answer = np.full((len(curves), padded.shape[1] - reach), kernel.bias, np.float32)
        for place, weight in enumerate(kernel.weights):
            start = place * kernel.dilation
            answer += np.float32(weight) * padded[:, start : start + answer.shape[1]]
        return (answer > 0).mean(1) - 0.5


def _drawn(random: np.random.Generator) -> _Kernel:
    length = int(random.choice([7, 9, 11]))
    weights = random.normal(size=length)
    dilation = int(2 ** random.uniform(0, np.log2((POINTS - 1) / (length - 1))))
    padding = (length - 1) * dilation // 2 if random.integers(2) else 0
    return _Kernel(weights - weights.mean(), float(random.uniform(-1, 1)), dilation, padding)
