"""Search by a rectangle of the query: whole images first, then the best window in each of them."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from featurelens.errors import InvalidInput
from featurelens.images.decode import decode
from featurelens.search.gallery import Gallery
from featurelens.search.hit import Hit
from featurelens.search.query import Query
from featurelens.search.tokens import Box, TokenMaps
from featurelens.search.windows import Scaling, Window, best_window, scaling
from featurelens.shapes import Float32, UInt8

SIZES = (1.0, 0.75, 0.5, 0.375, 0.25)  # of the region's longer side, as a share of a square's side


@dataclass(frozen=True)
class RegionHit:
    """An image of the gallery and the part of it that matches; `box` is (left, top, right, bottom), 0 to 1.

    `hit.similarity` compares the regions, not the whole images.
    """

    hit: Hit
    box: Box


@dataclass(frozen=True, eq=False)
class _Template:
    """The region as tokens at one size."""

    tokens: Float32[np.ndarray, "row col channel"]


def search_region(
    gallery: Gallery,
    query: Query,
    box: Box,
    *,
    k: int = 10,
    candidates: int = 200,
    min_similarity: float | None = None,
    path: str | None = None,
    label: str | None = None,
) -> list[RegionHit]:
    """The k images that hold what is inside `box` of the query, with where they hold it, best first.

    `box`: (left, top, right, bottom) as fractions of width and height. The `candidates` images that are most like
    the cut-out part as a whole are looked through window by window, token by token, at five sizes. Raises
    InvalidInput for a box that is none, ImageError for a query that is no image, BackboneError where the gallery's
    backbone gives no map.
    """
    _check(box, k, candidates)
    settings = gallery.settings
    maps = TokenMaps(
        gallery.backbone,
        gallery.folder if gallery.finder.writable else None,
        max_pixels=settings.max_pixels,
    )
    pixels = _pixels(gallery, query)
    part = _part(pixels, box)
    found = gallery.search(part, k=max(k, candidates), path=path, label=label)
    with gallery.finder.reading() as connection:
        marks = ",".join(str(hit.id) for hit in found)
        hashes = dict(connection.execute(f"SELECT id, hash FROM images WHERE id IN ({marks})"))
    looked = maps.of_files([(hit.path, hashes.get(hit.id)) for hit in found])
    scale = scaling([one[1] for one in looked if one is not None])
    templates = _templates(maps, pixels, box, scale)
    hits = []
    for hit, one in zip(found, looked, strict=True):
        if one is not None:
            window, where = _best(templates, scale, *one)
            hits.append(RegionHit(replace(hit, similarity=window.score), where))
    hits.sort(key=lambda one: (-one.hit.similarity, one.hit.id))
    least = -1.0 if min_similarity is None else min_similarity
    return [one for one in hits if one.hit.similarity >= least][:k]


def _check(box: Box, k: int, candidates: int) -> None:
    if len(box) != 4:
        raise InvalidInput(f"The box {box} has {len(box)} numbers; give four: left, top, right, bottom.")
    left, top, right, bottom = box
    if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
        raise InvalidInput(
            f"The box {box} is none: give left, top, right, bottom as fractions of width and height, from 0 to 1, "
            "right beyond left and bottom beyond top."
        )
    if k < 1 or candidates < 1:
        raise InvalidInput(f"k is {k} and candidates {candidates}; both must be at least 1.")


def _pixels(gallery: Gallery, query: Query) -> UInt8[np.ndarray, "row col 3"]:
    """The whole query, upright."""
    source: str | os.PathLike[str] | bytes | np.ndarray | object = query
    if isinstance(query, int | np.integer) and not isinstance(query, bool):
        source = gallery.image(int(query)).path
    elif isinstance(query, Hit):
        source = query.path
    elif isinstance(query, str | os.PathLike) and not Path(query).exists():
        inside = gallery.images_folder / query
        source = inside if inside.exists() else query
    if isinstance(source, np.ndarray) and source.dtype.kind == "f":
        raise InvalidInput("A vector has no regions; give the image itself.")
    return decode(source, max_pixels=gallery.settings.max_pixels).pixels  # pyright: ignore[reportArgumentType]


def _part(pixels: UInt8[np.ndarray, "row col 3"], box: Box) -> UInt8[np.ndarray, "part_row part_col 3"]:
    from featurelens.search.tokens import cut

    return cut(pixels, box)


def _templates(maps: TokenMaps, pixels: np.ndarray, box: Box, scale: Scaling) -> list[_Template]:
    """The region's tokens, seen from further and further away: as they would be were it smaller in its picture."""
    rows, cols = pixels.shape[:2]
    left, top, right, bottom = box[0] * cols, box[1] * rows, box[2] * cols, box[3] * rows
    width, height = right - left, bottom - top
    views = []
    for size in SIZES:
        side = max(width, height) / size
        x, y = (left + right - side) / 2, (top + bottom - side) / 2
        views.append((x / cols, y / rows, (x + side) / cols, (y + side) / rows))
    tokens = scale.units(maps.of_pixels(pixels, views))
    grid = tokens.shape[1:3]
    found = []
    for size, one in zip(SIZES, tokens, strict=True):
        high = _tokens(grid[0] * size * height / max(width, height), grid[0])
        wide = _tokens(grid[1] * size * width / max(width, height), grid[1])
        first, second = (grid[0] - high) // 2, (grid[1] - wide) // 2
        found.append(_Template(one[first : first + high, second : second + wide]))
    return found


def _tokens(length: float, most: int) -> int:
    return min(most, max(1, round(length)))


def _best(
    templates: list[_Template], scale: Scaling, boxes: list[Box], maps: np.ndarray
) -> tuple[Window, Box]:
    """The best window of one image over its squares and the region's sizes, and its place in the whole."""
    tokens = scale.units(maps)
    tried = [
        (best_window(one, template.tokens), box)
        for one, box in zip(tokens, boxes, strict=True)
        for template in templates
    ]
    window, (left, top, right, bottom) = max(tried, key=lambda pair: pair[0].score)
    rows, cols = tokens.shape[1:3]
    return window, (
        left + (right - left) * window.left / cols,
        top + (bottom - top) * window.top / rows,
        left + (right - left) * window.right / cols,
        top + (bottom - top) * window.bottom / rows,
    )
