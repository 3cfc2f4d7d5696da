"""The picture of a match: two images, where they are alike, and lines between regions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

from featurelens.see.render.overlay import overlay
from featurelens.see.render.scale import peak_of
from featurelens.see.render.sheet import captioned, sheet
from featurelens.shapes import UInt8

if TYPE_CHECKING:
    from featurelens.see.lines import Line
    from featurelens.see.match import Match

_COLOURS = ((0, 158, 115), (230, 159, 0), (86, 180, 233), (204, 121, 167), (213, 94, 0), (240, 228, 66))


def draw_match(
    match: Match, *, lines: int = 5, side: int = 320, gap: int = 40
) -> UInt8[np.ndarray, "row col 3"]:
    """Both images under their maps on one scale, with `lines` lines between the regions that answer each other."""
    peak = max(peak_of(values, percentile=100) for values in (match.a, match.b))
    pictures = []
    for pixels, values in zip(match.pixels, (match.a, match.b), strict=True):
        rows, cols = pixels.shape[:2]
        size = (side, max(1, round(side * rows / cols)))
        image = np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC))
        pictures.append(overlay(image, values, peak=peak))
    between = np.full((pictures[0].shape[0], gap, 3), 255, np.uint8)
    both = Image.fromarray(np.concatenate([pictures[0], between, pictures[1]], axis=1))
    draw = ImageDraw.Draw(both)
    for line, colour in zip(match.lines(lines), _COLOURS * lines, strict=False):
        _draw_line(draw, match, line, colour, side, gap, pictures[0].shape[0])
    return sheet([captioned(np.asarray(both), _caption(match))], title=f"similarity {match.cosine:.3f}")


def _draw_line(
    draw: ImageDraw.ImageDraw,
    match: Match,
    line: Line,
    colour: tuple[int, int, int],
    side: int,
    gap: int,
    height: int,
) -> None:
    ends = []
    for (row, col), values, left in ((line.first, match.a, 0), (line.second, match.b, side + gap)):
        rows, cols = values.shape
        box = [
            left + col * side / cols,
            row * height / rows,
            left + (col + 1) * side / cols - 1,
            (row + 1) * height / rows - 1,
        ]
        draw.rectangle(box, outline=colour, width=3)
        ends.append(((box[0] + box[2]) / 2, (box[1] + box[3]) / 2))
    draw.line(ends, fill=colour, width=1 + round(3 * line.strength))


def _caption(match: Match) -> str:
    left, right = match.residual
    if match.kind == "split":
        return "Both maps sum to the similarity."
    if match.kind == "left out":
        return (
            "Each region's even share, plus what the similarity loses without it; "
            f"{left:+.3f} (left) and {right:+.3f} (right) of the similarity remain."
        )
    return (
        f"From the maps' means, whose similarity is {match.cosine - left:.3f}; {left:+.3f} comes from what has "
        "no place (a class token, layers after pooling)."
    )
