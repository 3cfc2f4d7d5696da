"""The whole gallery in two dimensions: principal components at once, neighbours kept together later."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from featurelens.errors import InvalidInput, MissingExtra
from featurelens.search import Gallery
from featurelens.shapes import Float32, Float64, Int, Int64

_SAMPLE = 20_000  # rows from which directions and centres are learnt
_GROUPS = 12
_ROUNDS = 250


@dataclass(frozen=True, eq=False)
class Layout:
    """Where each image lies (between -1 and 1) and which cluster it belongs to; `method`: pca or opentsne."""

    method: str
    ids: Int64[np.ndarray, " image"]
    places: Float32[np.ndarray, "image 2"]
    cluster: Int64[np.ndarray, " image"]

    def save(self, file: Path) -> None:
        """Write it; the file appears whole or not at all."""
        file.parent.mkdir(exist_ok=True)
        part = file.with_suffix(".tmp.npz")
        np.savez(part, method=self.method, ids=self.ids, places=self.places, cluster=self.cluster)
        part.replace(file)

    @classmethod
    def load(cls, file: Path) -> Layout | None:
        """The layout in a file, or None."""
        try:
            with open(file, "rb") as opened, np.load(opened, allow_pickle=False) as held:
                return cls(str(held["method"]), held["ids"], held["places"], held["cluster"])
        except (OSError, ValueError, KeyError, EOFError, BadZipFile):
            return None


def all_vectors(gallery: Gallery) -> tuple[Int64[np.ndarray, " image"], Float32[np.ndarray, "image dim"]]:
    """The ids and vectors of a gallery as of now."""
    ids, vectors = [np.empty(0, np.int64)], [np.empty((0, gallery.spec.dim), np.float32)]
    for block in gallery.finder.snapshot().blocks:
        alive = slice(None) if block.dead is None else ~block.dead
        ids.append(block.ids[alive])
        vectors.append(block.vectors[alive])
    return np.concatenate(ids), np.concatenate(vectors)


def by_components(ids: Int64[np.ndarray, " image"], vectors: Float32[np.ndarray, "image dim"]) -> Layout:
    """Two principal components; clusters by k-means."""
    reduced = components(vectors, 32)
    places = np.zeros((len(ids), 2))
    places[:, : reduced.shape[1]] = reduced[:, :2]
    return Layout("pca", ids, _spread(places), groups(reduced))


def by_neighbours(
    ids: Int64[np.ndarray, " image"],
    vectors: Float32[np.ndarray, "image dim"],
    *,
    on_progress: Callable[[int, int], object],
) -> Layout:
    """t-SNE (openTSNE, FIt-SNE above 10,000 images), started from the principal components.

    Linderman et al. 2019; Kobak and Berens 2019 for the start. An exception of `on_progress` ends it. Raises
    MissingExtra without openTSNE, InvalidInput for fewer than twelve images.
    """
    if find_spec("openTSNE") is None:
        raise MissingExtra("openTSNE", "maps", "A map that keeps neighbours together")
    if len(ids) < 12:
        raise InvalidInput(f"{len(ids)} images are too few for a map of neighbours; twelve are enough.")
    from openTSNE import TSNEEmbedding, affinity, initialization

    reduced = components(vectors, 50)
    on_progress(0, 3 * _ROUNDS)
    near = affinity.PerplexityBasedNN(
        reduced, perplexity=min(30, (len(ids) - 1) // 3), random_state=0, n_jobs=1
    )
    start = initialization.rescale(reduced[:, :2].copy())
    method = "fft" if len(ids) > 10_000 else "bh"
    found = TSNEEmbedding(start, near, negative_gradient_method=method, random_state=0, n_jobs=1)
    done = 0

    def step(iteration: int, error: float, embedding: object) -> None:
        on_progress(min(done + iteration, 3 * _ROUNDS), 3 * _ROUNDS)

    watch = {"callbacks": [step], "callbacks_every_iters": 10}
    found = found.optimize(_ROUNDS, exaggeration=12, momentum=0.5, **watch)
    done = _ROUNDS
    found = found.optimize(2 * _ROUNDS, momentum=0.8, **watch)
    return Layout("opentsne", ids, _spread(np.asarray(found, np.float64)), groups(reduced))


def components(vectors: Float32[np.ndarray, "image dim"], most: int) -> Float64[np.ndarray, "image part"]:
    """The vectors along the directions of largest variance; signs are fixed (largest entry above zero)."""
    if not len(vectors):
        return np.zeros((0, 2))
    some = vectors[:: max(1, len(vectors) // _SAMPLE)].astype(np.float64)
    mean = some.mean(0)
    some -= mean
    _, directions = np.linalg.eigh(some.T @ some)
    directions = directions[:, ::-1][:, :most]
    largest = directions[np.abs(directions).argmax(0), np.arange(directions.shape[1])]
    directions = directions * np.where(largest < 0, -1, 1)
    return (vectors @ directions.astype(np.float32) - (mean @ directions)).astype(np.float64)


def groups(
    rows: Float64[np.ndarray, "image part"], *, most: int = _GROUPS, seed: int = 0
) -> Int64[np.ndarray, " image"]:
    """A cluster number for each row, 0 the largest: k-means (Lloyd, k-means++ start) on a sample of the rows."""
    count = min(most, max(1, len(rows) // 8))
    if len(rows) == 0:
        return np.empty(0, np.int64)
    random = np.random.default_rng(seed)
    some = rows[:: max(1, len(rows) // _SAMPLE)]
    centres = some[[random.integers(len(some))]]
    for _ in range(count - 1):
        far = _nearest(some, centres)[1]
        chosen = random.choice(len(some), p=far / far.sum()) if far.sum() > 0 else 0
        centres = np.concatenate([centres, some[[chosen]]])
    for _ in range(25):
        mine = _nearest(some, centres)[0]
        moved = [some[mine == i].mean(0) if (mine == i).any() else centres[i] for i in range(count)]
        if np.allclose(moved, centres):
            break
        centres = np.stack(moved)
    found = _nearest(rows, centres)[0]
    rank = np.argsort(np.argsort(-np.bincount(found, minlength=count), kind="stable"))
    return rank[found]


def _nearest(
    rows: Float64[np.ndarray, "row part"], centres: Float64[np.ndarray, "centre part"]
) -> tuple[Int[np.ndarray, " row"], Float64[np.ndarray, " row"]]:
    squares = (rows**2).sum(1)[:, None] - 2 * rows @ centres.T + (centres**2).sum(1)
    nearest = squares.argmin(1)
    return nearest, np.maximum(squares[np.arange(len(rows)), nearest], 0)


def _spread(places: Float64[np.ndarray, "image 2"]) -> Float32[np.ndarray, "image 2"]:
    """Moved and scaled alike in both directions, so that all lie between -1 and 1."""
    if not len(places):
        return places.astype(np.float32)
    low, high = places.min(0), places.max(0)
    side = max(float((high - low).max()), 1e-12) / 2
    return ((places - (low + high) / 2) / side).astype(np.float32)
