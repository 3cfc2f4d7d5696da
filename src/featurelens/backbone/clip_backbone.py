"""Two towers as one backbone: images go through the first, texts through the second."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol, runtime_checkable

import numpy as np

from featurelens.backbone.openvino_backbone import OpenVINOBackbone
from featurelens.backbone.protocol import Spec
from featurelens.shapes import Float32, UInt8


@runtime_checkable
class Tower(Protocol):
    """What embeds texts."""

    def embed(self, texts: Sequence[str]) -> Float32[np.ndarray, "text dim"]: ...


class ClipBackbone:
    """A TextBackbone made of an image tower on the CPU engine and a text tower; their vectors can be compared."""

    def __init__(self, images: OpenVINOBackbone, texts: Tower) -> None:
        self.images, self.texts = images, texts
        self._spec = replace(images.spec, text=True)

    @property
    def spec(self) -> Spec:
        return self._spec

    @property
    def streams(self) -> int:
        return self.images.streams

    def embed(self, pixels: UInt8[np.ndarray, "batch row col 3"]) -> Float32[np.ndarray, "batch dim"]:
        """The raw (not normalised) embedding of each image; InvalidInput for pixels of another size."""
        return self.images.embed(pixels)

    def maps(
        self, pixels: UInt8[np.ndarray, "batch row col 3"]
    ) -> Float32[np.ndarray, "batch channel grid_row grid_col"]:
        """The last token grid or map of the image tower; BackboneError if none was found."""
        return self.images.maps(pixels)

    def head(
        self, maps: Float32[np.ndarray, "batch channel grid_row grid_col"]
    ) -> Float32[np.ndarray, "batch dim"]:
        """The embedding made from what `maps` gives; BackboneError where it is not made from the map alone."""
        return self.images.head(maps)

    def embed_text(self, texts: Sequence[str]) -> Float32[np.ndarray, "text dim"]:
        """The raw (not normalised) embedding of each text; InvalidInput for what are no texts."""
        return self.texts.embed(texts)
