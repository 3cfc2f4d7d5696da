"""One vector for each place of each image: the tokens of a backbone's map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from featurelens.backbone.protocol import Backbone
from featurelens.backbone.request import free_cores
from featurelens.errors import BackboneError, ImageError, InvalidInput
from featurelens.features.progress import Meter, OnProgress
from featurelens.images.batches import in_batches
from featurelens.images.decode import DEFAULT_MAX_PIXELS, decode
from featurelens.shapes import Float32, Int64, UInt8

_BATCH = 32


@dataclass(frozen=True, eq=False)
class Patches:
    """`tokens` of the images numbered `images`; `skipped` has what could not be read, with its reason.

    `mean_is_vector`: whether the mean of an image's tokens points where its embedding does.
    """

    tokens: Float32[np.ndarray, "image grid_row grid_col channel"]
    images: Int64[np.ndarray, " image"]
    mean_is_vector: bool
    skipped: tuple[tuple[int, str], ...]


def patches_of(
    files: Sequence[Path],
    backbone: Backbone,
    *,
    exact: bool = False,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    max_bytes: int = 1 << 30,
    on_progress: OnProgress | None = None,
) -> Patches:
    """The maps of the files, token by token; as many files, spread evenly, as fit into `max_bytes`.

    Raises BackboneError for a backbone without a map, InvalidInput where no file can be read.
    """
    spec = backbone.spec
    if not spec.map_channels:
        raise BackboneError(
            f"'{spec.name}' gives no map, so there are no patches. Learn from its vectors (--of pooled), or index "
            "with a network that has a map."
        )
    if not files:
        raise InvalidInput("There are no images to learn concepts from; index some first.")
    grid = backbone.maps(np.full((1, spec.fit.rows, spec.fit.cols, 3), 128, np.uint8)).shape[1:]
    most = max(1, max_bytes // (4 * int(np.prod(grid))))
    chosen = np.unique(np.linspace(0, len(files) - 1, min(most, len(files))).astype(np.int64))

    def load(number: int) -> tuple[UInt8[np.ndarray, "row col 3"], None]:
        try:
            return decode(files[number], fit=spec.fit, exact=exact, max_pixels=max_pixels).pixels, None
        except OSError as error:
            raise ImageError(f"cannot be read: {error.strerror or error}") from error

    def work(pixels: UInt8[np.ndarray, "batch row col 3"]) -> tuple[np.ndarray, np.ndarray]:
        return backbone.maps(pixels), backbone.embed(pixels[:1])

    meter = Meter(len(chosen), on_progress)
    tokens = np.empty((len(chosen), grid[1], grid[2], grid[0]), np.float32)
    kept: list[int] = []
    skipped: list[tuple[int, str]] = []
    alike = []
    batches = in_batches(
        chosen.tolist(),
        load,
        work,
        shape=(spec.fit.rows, spec.fit.cols),
        batch_size=_BATCH,
        workers=free_cores(),
        streams=max(1, backbone.streams),
    )
    for batch in batches:
        if batch.result is not None:
            maps, vector = batch.result
            tokens[len(kept) : len(kept) + len(maps)] = maps.transpose(0, 2, 3, 1)
            kept += batch.items
            alike.append(_cosine(maps[0].mean((1, 2)), vector[0]))
        skipped += [(number, error.reason) for number, error in batch.failures]
        meter.step(len(batch.items) + len(batch.failures), len(batch.failures))
    if not kept:
        raise InvalidInput(f"None of the {len(chosen)} images can be read; the first: {skipped[0][1]}")
    return Patches(tokens[: len(kept)], np.array(kept), min(alike) > 0.999, tuple(skipped))


def _cosine(a: np.ndarray, b: np.ndarray) -> float:
    if a.shape != b.shape:
        return 0.0
    return float(a @ b / max(float(np.linalg.norm(a) * np.linalg.norm(b)), 1e-12))
