"""The torch engine: gradients, every layer, CUDA."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from featurelens.backbone.layout import layout_of
from featurelens.backbone.pixels import check_pixels
from featurelens.backbone.protocol import Spec
from featurelens.backbone.token_grid import Layout, as_map
from featurelens.errors import BackboneError, LayerError
from featurelens.shapes import Float, Float32, UInt8

if TYPE_CHECKING:
    from featurelens.backbone.layers import Layer

Step = Callable[[nn.Module, Tensor], Tensor]


class TorchBackbone:
    """A Backbone on torch: `.module` is the network as its library made it, in eval mode.

    On the CPU it computes in float32 with channels_last; on CUDA in bfloat16 autocast. `spec.dim` and
    `spec.map_channels` are probed by running it once.
    """

    streams = 1

    def __init__(
        self, module: nn.Module, spec: Spec, *, features: Step, pool: Step, device: str = "cpu"
    ) -> None:
        self.device = torch.device(device)
        self.module = module.eval().to(self.device, memory_format=torch.channels_last)
        self._features, self._pool = features, pool
        shape = (3, 1, 1)
        self._mean = torch.tensor(spec.mean, device=self.device).view(shape)
        self._std = torch.tensor(spec.std, device=self.device).view(shape)
        self.layout = self._find_layout(spec)
        self.spec = self._probed(spec)

    def normalize(self, x01: Float[Tensor, "batch 3 row col"]) -> Float[Tensor, "batch 3 row col"]:
        """From [0, 1] to what the network was trained on."""
        return (x01 - self._mean) / self._std

    def prepare(self, pixels: UInt8[np.ndarray, "batch row col 3"]) -> Float[Tensor, "batch 3 row col"]:
        """uint8 pixels as a float tensor in [0, 1] on the network's device."""
        check_pixels(pixels, self.spec.fit)
        x = torch.from_numpy(np.ascontiguousarray(pixels)).to(self.device).permute(0, 3, 1, 2)
        return x.contiguous(memory_format=torch.channels_last).float().div_(255.0)

    def forward_features(self, x: Float[Tensor, "batch 3 row col"]) -> Tensor:
        """The last feature map or token sequence of normalised images, as the network lays it out."""
        return self._features(self.module, x)

    def pool(self, features: Tensor) -> Float[Tensor, "batch dim"]:
        """The embedding made from what `forward_features` gives."""
        pooled = self._pool(self.module, features)
        return pooled if pooled.ndim == 2 else pooled.flatten(2).mean(2)

    def to_map(self, features: Tensor) -> Float[Tensor, "batch channel grid_row grid_col"]:
        """What `forward_features` gives, as a spatial map; BackboneError if it has no places."""
        if self.layout is None:
            raise BackboneError(f"The backbone '{self.spec.name}' gives an embedding only, no spatial map.")
        return as_map(features, layout=self.layout)

    def logits(self, x: Float[Tensor, "batch 3 row col"]) -> Float[Tensor, "batch target"]:
        """The class scores of normalised images, by the network's own head."""
        return self.module(x)

    def layers(self) -> list[Layer]:
        """Every layer in the order in which it runs, with its output shape."""
        from featurelens.backbone.layers import layers as list_layers

        fit = self.spec.fit
        return list_layers(self.module, torch.zeros(1, 3, fit.rows, fit.cols, device=self.device))

    def embed(self, pixels: UInt8[np.ndarray, "batch row col 3"]) -> Float32[np.ndarray, "batch dim"]:
        """The raw (not normalised) embedding of each image; InvalidInput for pixels of another size."""
        x = self.prepare(pixels)
        if not len(pixels):
            return np.empty((0, self.spec.dim), np.float32)
        with torch.inference_mode(), self._autocast():
            return self.pool(self.forward_features(self.normalize(x))).float().cpu().numpy()

    def maps(
        self, pixels: UInt8[np.ndarray, "batch row col 3"]
    ) -> Float32[np.ndarray, "batch channel grid_row grid_col"]:
        """The last spatial map or token grid; BackboneError if the network has none."""
        x = self.prepare(pixels)
        with torch.inference_mode(), self._autocast():
            found = self.to_map(self.forward_features(self.normalize(x)))
        return np.ascontiguousarray(found.float().cpu().numpy())

    def _autocast(self) -> AbstractContextManager[Any]:
        return torch.autocast("cuda", torch.bfloat16) if self.device.type == "cuda" else nullcontext()

    def _find_layout(self, spec: Spec) -> Layout | None:
        size = (spec.fit.rows, spec.fit.cols)
        try:
            layout = layout_of(self.module, "", size, forward=self._features)
        except LayerError:
            return None
        return layout if layout.spatial else None

    def _probed(self, spec: Spec) -> Spec:
        x = torch.zeros(2, 3, spec.fit.rows, spec.fit.cols, device=self.device)
        with torch.inference_mode():
            features = self.forward_features(self.normalize(x))
            dim = int(self.pool(features).shape[1])
            channels = 0
            if self.layout is not None:
                channels = int(as_map(features, layout=self.layout).shape[1])
        return replace(spec, dim=dim, map_channels=channels, weights=weights_hash(self.module))


def weights_hash(module: nn.Module) -> str:
    """SHA-256 over the names and bytes of all parameters and buffers, in the order of their names."""
    digest = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def pick_device(device: str) -> str:
    """The torch device for "auto", "cpu", "cuda" or "cuda:N"; BackboneError if it is not there."""
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise BackboneError(
            f"device='{device}' was asked for, but torch {torch.__version__} sees no CUDA device here. "
            "Use device='cpu', or see 'featurelens doctor'."
        )
    return device
