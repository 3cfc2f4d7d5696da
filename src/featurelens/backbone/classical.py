"""Hand-made features behind the same protocol, to compare learned ones with: HOG, colour histogram, LBP."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import numpy as np

from featurelens.backbone.measures import colour_cells, lbp_cells, oriented_cells, to_grey
from featurelens.backbone.pixels import check_pixels
from featurelens.backbone.protocol import Spec
from featurelens.backbone.request import Request, free_cores
from featurelens.catalog import unknown
from featurelens.errors import BackboneError
from featurelens.images.fit import Fit
from featurelens.shapes import Float32, UInt8

SIDE, CELL = 128, 16
_VERSION = "1"
_Measure = Callable[[UInt8[np.ndarray, "batch row col 3"]], Float32[np.ndarray, "batch channel row col"]]


def _hog(
    pixels: UInt8[np.ndarray, "batch row col 3"],
) -> Float32[np.ndarray, "batch channel grid_row grid_col"]:
    return oriented_cells(pixels, CELL)


def _colour(
    pixels: UInt8[np.ndarray, "batch row col 3"],
) -> Float32[np.ndarray, "batch channel grid_row grid_col"]:
    return colour_cells(pixels, 2 * CELL)


def _lbp(
    pixels: UInt8[np.ndarray, "batch row col 3"],
) -> Float32[np.ndarray, "batch channel grid_row grid_col"]:
    return lbp_cells(to_grey(pixels), 2 * CELL)


_MEASURES: dict[str, _Measure] = {"hog": _hog, "colour": _colour, "lbp": _lbp}


class ClassicBackbone:
    """One hand-made measure, or several joined with `+`, each of unit length; needs NumPy only."""

    def __init__(self, name: str) -> None:
        self._parts = [{"color": "colour"}.get(part, part) for part in name.split("+")]
        for part in self._parts:
            if part not in _MEASURES:
                raise unknown(
                    "classical backbone", part, _MEASURES, hint="Join several with +: classic:hog+colour."
                )
        grid = len(self._parts) == 1
        example = np.zeros((1, SIDE, SIDE, 3), np.uint8)
        identity = f"classic {'+'.join(self._parts)} {_VERSION}"
        self.spec = Spec(
            name=f"classic:{'+'.join(self._parts)}",
            weights=hashlib.sha256(identity.encode()).hexdigest(),
            dim=self._embed(example).shape[1],
            fit=Fit(SIDE, SIDE, "squash", 1.0, "bilinear"),
            map_channels=_MEASURES[self._parts[0]](example).shape[1] if grid else 0,
            licence="apache-2.0",
        )

    @property
    def streams(self) -> int:
        return free_cores()

    def embed(self, pixels: UInt8[np.ndarray, "batch row col 3"]) -> Float32[np.ndarray, "batch dim"]:
        """The measure of each image as one vector; InvalidInput for pixels of another size."""
        check_pixels(pixels, self.spec.fit)
        return self._embed(pixels)

    def maps(
        self, pixels: UInt8[np.ndarray, "batch row col 3"]
    ) -> Float32[np.ndarray, "batch channel grid_row grid_col"]:
        """The measure of each cell; BackboneError for joined measures, whose grids differ."""
        check_pixels(pixels, self.spec.fit)
        if len(self._parts) > 1:
            raise BackboneError(f"'{self.spec.name}' joins grids of different cells: it has no one map.")
        return _MEASURES[self._parts[0]](pixels)

    def _embed(self, pixels: np.ndarray) -> np.ndarray:
        found = []
        for part in self._parts:
            vectors = _POOL[part](_MEASURES[part](pixels))
            found.append(vectors / np.sqrt((vectors**2).sum(1, keepdims=True) + 1e-12))
        return np.concatenate(found, 1).astype(np.float32)


def _blocks(cells: np.ndarray) -> np.ndarray:
    """HOG's blocks of 2 × 2 cells, each normalised, clipped at 0.2 and normalised again (L2-Hys)."""
    rows, cols = cells.shape[2] - 1, cells.shape[3] - 1
    joined = np.stack([cells[:, :, r : r + rows, c : c + cols] for r in (0, 1) for c in (0, 1)], 1)
    eps = 1e-5
    joined = joined / np.sqrt((joined**2).sum((1, 2), keepdims=True) + eps**2)
    joined = np.minimum(joined, 0.2)
    joined = joined / np.sqrt((joined**2).sum((1, 2), keepdims=True) + eps**2)
    return joined.transpose(0, 3, 4, 1, 2).reshape(len(cells), -1)


def _whole(cells: np.ndarray) -> np.ndarray:
    """The histogram of the whole image; the root compares histograms by Hellinger's distance."""
    return np.sqrt(cells.mean((2, 3)))


def _grid(cells: np.ndarray) -> np.ndarray:
    return np.sqrt(cells).reshape(len(cells), -1)


_POOL: dict[str, Callable[[np.ndarray], np.ndarray]] = {"hog": _blocks, "colour": _whole, "lbp": _grid}


def load(request: Request) -> ClassicBackbone:
    """`classic:hog`, `classic:colour`, `classic:lbp`, or several joined: `classic:hog+colour`."""
    request.refuse(
        "A classical backbone", size=request.size, weights=request.weights, mean=request.mean, std=request.std
    )
    if request.engine == "torch":
        raise BackboneError(
            f"'{request.name}' is no network: it has no layers and no gradients. Name a timm or torchvision network, e.g. "
            "resnet18."
        )
    return ClassicBackbone(request.rest)
