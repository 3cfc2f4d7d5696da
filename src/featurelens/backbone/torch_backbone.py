"""The torch engine: gradients, every layer, CUDA."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from featurelens.backbone.pixels import check_pixels
from featurelens.backbone.places import Places, places_of
from featurelens.backbone.protocol import Spec
from featurelens.backbone.request import Precision
from featurelens.backbone.token_grid import Layout, as_map, from_map
from featurelens.backbone.weights import weights_hash
from featurelens.errors import BackboneError
from featurelens.shapes import Float, Float32, UInt8

if TYPE_CHECKING:
    from featurelens.backbone.layers import Layer

Step = Callable[[nn.Module, Any], Any]


class TorchBackbone:
    """A Backbone on torch: `.module` is the network as its library made it, in eval mode.

    On the CPU it computes in float32 with channels_last, on CUDA in bfloat16 autocast (`precision="fp32"`: in float32).
    `features` and `pool` are given the module and read its last features and their embedding; `spec.dim`, `spec.map_channels` and
    `spec.weights` are found by running it once. `identity` names the architecture (part of the hash). `places` of another
    network of the same architecture spare finding them again.

    >>> net = load_backbone("test_vit", engine="torch", pretrained=False)  # doctest: +SKIP
    >>> net.embed(np.zeros((2, 160, 160, 3), np.uint8)).shape  # doctest: +SKIP
    (2, 64)
    """

    streams = 1

    def __init__(
        self,
        module: nn.Module,
        spec: Spec,
        *,
        features: Step,
        pool: Step,
        device: str = "cpu",
        identity: str = "",
        precision: Precision = "auto",
        places: Places | None = None,
    ) -> None:
        self.device = torch.device(device)
        self.precision: Precision = precision
        self.module = module.eval().to(self.device).to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        self.identity = identity
        self._features, self._pool = features, pool
        shape = (3, 1, 1)
        self._mean = torch.tensor(spec.mean, device=self.device).view(shape)
        self._std = torch.tensor(spec.std, device=self.device).view(shape)
        self.places = places or places_of(self.module, (spec.fit.rows, spec.fit.cols), features=features)
        self.spec = self._probed(spec)

    @property
    def steps(self) -> tuple[Step, Step]:
        """How the module's last features, and their embedding, are read."""
        return self._features, self._pool

    def with_module(self, module: nn.Module) -> TorchBackbone:
        """The same reading of another module of this architecture, such as a tuned copy."""
        return TorchBackbone(
            module,
            self.spec,
            features=self._features,
            pool=self._pool,
            device=str(self.device),
            identity=self.identity,
            precision=self.precision,
            places=self.places,
        )

    def normalize(self, x01: Float[Tensor, "batch 3 row col"]) -> Float[Tensor, "batch 3 row col"]:
        """From [0, 1] to what the network was trained on."""
        return (x01 - self._mean) / self._std

    def prepare(self, pixels: UInt8[np.ndarray, "batch row col 3"]) -> Float[Tensor, "batch 3 row col"]:
        """uint8 pixels as a float tensor in [0, 1] on the network's device."""
        check_pixels(pixels, self.spec.fit)
        x = torch.from_numpy(np.array(pixels, order="C"))  # a copy: torch wants to be able to write
        if self.device.type == "cuda":
            x = x.pin_memory().to(self.device, non_blocking=True)
        return x.permute(0, 3, 1, 2).float().div_(255.0)  # channels_last already, by its strides

    def forward_features(self, x: Float[Tensor, "batch 3 row col"]) -> Any:
        """The last feature map or token sequence of normalised images, as the network lays it out.

        A tensor; networks of several paths (CrossViT) give a list of them.
        """
        return self._features(self.module, x)

    def pool(self, features: Any) -> Float[Tensor, "batch dim"]:
        """The embedding made from what `forward_features` gives."""
        pooled = self._pool(self.module, features)
        return pooled if pooled.ndim == 2 else pooled.flatten(2).mean(2)

    def to_map(self, features: Any) -> Float[Tensor, "batch channel grid_row grid_col"]:
        """What `forward_features` gives, as a spatial map; BackboneError if it has no places."""
        return as_map(features, layout=self._layout())

    def head(
        self, maps: Float32[np.ndarray, "batch channel grid_row grid_col"]
    ) -> Float32[np.ndarray, "batch dim"]:
        """The embedding made from what `maps` gives; BackboneError where it is not made from the map alone."""
        layout = self._layout()
        with torch.inference_mode(), self._autocast():
            features = from_map(torch.from_numpy(maps).to(self.device), layout)
            return self.pool(features).float().cpu().numpy()

    def logits(self, x: Float[Tensor, "batch 3 row col"]) -> Float[Tensor, "batch target"]:
        """The class scores of normalised images, by the network's own head; BackboneError if it has none."""
        if getattr(self.module, "num_classes", None) == 0:
            raise BackboneError(f"'{self.spec.name}' has no classifier, so it gives no class scores.")
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
        return torch.autocast("cuda", torch.bfloat16) if self._low else nullcontext()

    @property
    def _low(self) -> bool:
        return self.device.type == "cuda" and self.precision == "auto"

    def _layout(self) -> Layout:
        if self.places.layout is None:
            raise BackboneError(
                f"The backbone '{self.spec.name}' gives an embedding only, no spatial map: {self.places.why.rstrip('.')}."
            )
        return self.places.layout

    def _probed(self, spec: Spec) -> Spec:
        x = torch.zeros(2, 3, spec.fit.rows, spec.fit.cols, device=self.device)
        try:
            with torch.inference_mode():
                features = self.forward_features(self.normalize(x))
                dim = int(self.pool(features).shape[1])
        except torch.OutOfMemoryError:
            raise
        except (
            RuntimeError,
            AssertionError,
            ValueError,
        ) as error:  # what networks say of sizes they cannot take
            told = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
            raise BackboneError(
                f"'{spec.name}' does not take images of {spec.fit.rows} × {spec.fit.cols}: {told}; leave size out or "
                "choose another."
            ) from error
        layout = self.places.layout
        channels = 0 if layout is None else int(as_map(features, layout=layout).shape[1])
        return replace(
            spec,
            dim=dim,
            map_channels=channels,
            weights=weights_hash(self.module, self.identity),
            precision="bf16" if self._low else spec.precision,
        )


def pick_device(device: str) -> str:
    """The torch device for "auto", "cpu", "cuda" or "cuda:N"; BackboneError if it is not there."""
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        found = torch.device(device)
        if found.type == "cuda" and (found.index or 0) >= torch.cuda.device_count():
            raise RuntimeError(f"it sees {torch.cuda.device_count()} CUDA devices")
        torch.empty(0, device=found)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise BackboneError(
            f"device='{device}' cannot be used by torch {torch.__version__} here: {str(error).splitlines()[0]}. "
            "Use device='cpu', or see 'featurelens doctor'."
        ) from error
    return str(found)
