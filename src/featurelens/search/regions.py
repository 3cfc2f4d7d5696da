"""Search by a rectangle of the query: whole images first, then the best window in each of them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from featurelens.errors import InvalidInput
from featurelens.images.decode import decode
from featurelens.search.content import NOT_HASHED, Content
from featurelens.search.gallery import Gallery
from featurelens.search.hit import Hit
from featurelens.search.query import Query
from featurelens.search.tokens import Box, TokenMaps, cut, squares
from featurelens.search.windows import Scaling, scaling, window_scores
from featurelens.shapes import Float32, UInt8

_CHANCE = 0.95  # the share of all windows that agree no better is what chance gives
SIZES = (1.0, 0.75, 0.5, 0.375, 0.25)  # of the region's longer side, as a share of a square's side


@dataclass(frozen=True)
class RegionHit:
    """An image of the gallery and the part of it that matches; `box` is (left, top, right, bottom), 0 to 1.

    `hit.similarity` compares the regions, not whole images: 1 is the same, 0 what one window in twenty reaches.
    """

    hit: Hit
    box: Box


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
    found = gallery.search(cut(pixels, box), k=max(k, candidates), path=path, label=label)
    with gallery.finder.reading() as connection:
        marks = ",".join(str(hit.id) for hit in found)
        rows = connection.execute(f"SELECT id, size, mtime_ns, hash FROM images WHERE id IN ({marks})")
        contents = {
            one: Content(size, mtime_ns, digest or NOT_HASHED) for one, size, mtime_ns, digest in rows
        }
    looked = maps.of_files([(hit.path, contents.get(hit.id)) for hit in found])
    if not any(looked):
        return []
    scale = scaling([one[1] for one in looked if one is not None])
    templates = _templates(maps, pixels, box, scale)
    kept = [(hit, *one) for hit, one in zip(found, looked, strict=True) if one is not None]
    best = _best([(boxes, scale.units(some)) for _, boxes, some in kept], templates)
    hits = [
        RegionHit(replace(hit, similarity=similarity), where)
        for (hit, _, _), (similarity, where) in zip(kept, best, strict=True)
    ]
    hits.sort(key=lambda one: (-one.hit.similarity, one.hit.id))
    least = -np.inf if min_similarity is None else min_similarity
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


def _templates(
    maps: TokenMaps, pixels: np.ndarray, box: Box, scale: Scaling
) -> list[Float32[np.ndarray, "_ _ channel"]]:
    """The region's tokens as its own picture has them, and seen from further and further away: as they would be were
    it smaller in its picture.
    """
    rows, cols = pixels.shape[:2]
    left, top, right, bottom = box[0] * cols, box[1] * rows, box[2] * cols, box[3] * rows
    width, height = right - left, bottom - top
    views = []
    for size in SIZES:
        side = max(width, height) / size
        x, y = (left + right - side) / 2, (top + bottom - side) / 2
        views.append((x / cols, y / rows, (x + side) / cols, (y + side) / rows))
    home = max(squares(cols / rows), key=lambda square: _shared(square, box))
    own, *tokens = scale.units(maps.of_pixels(pixels, [home, *views]))
    grid = own.shape[:2]
    found = [
        own[
            _span(home[1], home[3], box[1], box[3], grid[0]), _span(home[0], home[2], box[0], box[2], grid[1])
        ]
    ]
    for size, one in zip(SIZES, tokens, strict=True):
        high = _tokens(grid[0] * size * height / max(width, height), grid[0])
        wide = _tokens(grid[1] * size * width / max(width, height), grid[1])
        first, second = (grid[0] - high) // 2, (grid[1] - wide) // 2
        found.append(one[first : first + high, second : second + wide])
    return found


def _shared(square: Box, box: Box) -> float:
    """The area that two boxes have in common."""
    wide = min(square[2], box[2]) - max(square[0], box[0])
    return max(0.0, wide) * max(0.0, min(square[3], box[3]) - max(square[1], box[1]))


def _span(low: float, high: float, start: float, end: float, tokens: int) -> slice:
    """The tokens of the stretch from `low` to `high` that lie between `start` and `end`, one at least."""
    first, last = (round((at - low) / (high - low) * tokens) for at in (start, end))
    first = min(max(first, 0), tokens - 1)
    return slice(first, min(max(last, first + 1), tokens))


def _tokens(length: float, most: int) -> int:
    return min(most, max(1, round(length)))


def _best(
    images: Sequence[tuple[list[Box], Float32[np.ndarray, "_ _ _ channel"]]],
    templates: Sequence[Float32[np.ndarray, "_ _ channel"]],
) -> list[tuple[float, Box]]:
    """(similarity, place) of the best window of each image over its squares and the region's sizes.

    Few tokens agree by chance more easily than many, so that each size has a zero of its own.
    """
    best: list[tuple[float, Box]] = [(-np.inf, (0.0, 0.0, 1.0, 1.0))] * len(images)
    for template in templates:
        scores = [[window_scores(one, template) for one in tokens] for _, tokens in images]
        chance = float(np.quantile(np.concatenate([s.ravel() for some in scores for s in some]), _CHANCE))
        for i, ((boxes, tokens), some) in enumerate(zip(images, scores, strict=True)):
            for box, places in zip(boxes, some, strict=True):
                score = max((float(places.max()) - chance) / max(1 - chance, 1e-6), -1.0)
                if score > best[i][0]:
                    at = divmod(int(places.argmax()), places.shape[1])
                    best[i] = (score, _inside(box, at, template.shape[:2], tokens.shape[1:3]))
    return best


def _inside(box: Box, at: tuple[int, int], size: tuple[int, ...], grid: tuple[int, ...]) -> Box:
    """The part of a square that a window of tokens covers, as fractions of the whole picture."""
    left, top, right, bottom = box
    step_x, step_y = (right - left) / grid[1], (bottom - top) / grid[0]
    x, y = left + step_x * at[1], top + step_y * at[0]
    return x, y, x + step_x * size[1], y + step_y * size[0]
