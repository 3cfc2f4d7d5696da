"""The picture of a text in an image: the image, and the regions where the text applies."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from featurelens.see.render.overlay import overlay
from featurelens.see.render.scale import peak_of
from featurelens.see.render.sheet import captioned, sheet
from featurelens.shapes import UInt8

if TYPE_CHECKING:
    from featurelens.see.worded import TextMatch


def draw_text_match(match: TextMatch, *, side: int = 320) -> UInt8[np.ndarray, "row col 3"]:
    """The image beside its map, with the text and what the map means."""
    rows, cols = match.pixels.shape[:2]
    size = (side, max(1, round(side * rows / cols)))
    image = np.asarray(Image.fromarray(match.pixels).resize(size, Image.Resampling.BICUBIC))
    over = overlay(image, match.values, peak=peak_of(match.values, percentile=100))
    return sheet(
        [captioned(image, "what the network sees"), captioned(over, _CAPTIONS[match.kind])],
        title=f"“{match.text[:60]}”  similarity {match.cosine:.3f}",
    )


_CAPTIONS = {
    "split": "The regions sum to the similarity.",
    "left out": "An even share, plus what is lost without the region.",
    "covered": "What is lost when the square is covered.",
}
