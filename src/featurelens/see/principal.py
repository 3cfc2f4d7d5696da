"""The main directions of maps as colours: like places get like colours."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from featurelens.shapes import Float, Float64, UInt8


@dataclass(frozen=True, eq=False)
class PrincipalColours:
    """Pictures [image, row, col, 3]; `share` is the part of all variation that each of the three colours holds."""

    pixels: UInt8[np.ndarray, "image row col 3"]
    share: Float64[np.ndarray, " three"]


def principal_colours(maps: Float[np.ndarray, "image channel row col"]) -> PrincipalColours:
    """The first three principal components over all places of all images, as red, green and blue.

    Maps of several images given together get comparable colours. Signs are fixed: the channel that counts
    most in a component counts positive. Each colour runs from the 1st to the 99th percentile.

    >>> principal_colours(np.random.default_rng(0).normal(size=(1, 8, 5, 6))).pixels.shape
    (1, 5, 6, 3)
    """
    images, channels, rows, cols = maps.shape
    places = np.nan_to_num(maps.astype(np.float64)).transpose(0, 2, 3, 1).reshape(-1, channels)
    places = places - places.mean(0)
    directions, variances = _directions(places)
    parts = places @ directions.T
    low, high = np.percentile(parts, 1, axis=0), np.percentile(parts, 99, axis=0)
    span = np.where(high > low, high - low, 1.0)
    scaled = np.where(high > low, np.clip((parts - low) / span, 0, 1), 0.5)
    total = float((places**2).sum())
    share = variances / total if total > 0 else np.zeros(3)
    pixels = np.rint(scaled * 255).astype(np.uint8).reshape(images, rows, cols, 3)
    return PrincipalColours(pixels, share)


def _directions(places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Three unit directions [3, channel] and the sum of squares along each; zeros where there are fewer."""
    count, channels = places.shape
    if channels <= count:
        values, vectors = np.linalg.eigh(places.T @ places)
        directions, variances = vectors.T[::-1][:3], values[::-1][:3]
    else:  # fewer places than channels: the smaller matrix has the same directions
        values, vectors = np.linalg.eigh(places @ places.T)
        values, vectors = values[::-1][:3], vectors[:, ::-1][:, :3]
        directions, variances = (places.T @ vectors).T, values
        directions = directions / np.maximum(np.linalg.norm(directions, axis=1, keepdims=True), 1e-300)
    directions = directions * np.where(_largest(directions) < 0, -1.0, 1.0)[:, None]
    missing = 3 - len(directions)
    if missing > 0:
        directions = np.concatenate([directions, np.zeros((missing, channels))])
        variances = np.concatenate([variances, np.zeros(missing)])
    real = variances > 1e-10 * max(float(variances.max(initial=0.0)), 1e-300)
    return directions * real[:, None], np.maximum(variances, 0) * real


def _largest(rows: np.ndarray) -> np.ndarray:
    return np.take_along_axis(rows, np.abs(rows).argmax(1)[:, None], axis=1)[:, 0]
