"""What a reader makes of one file: the parts that a backbone embeds, and a few facts about the whole."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from featurelens.shapes import Shaped


@dataclass(frozen=True, eq=False)
class Item:
    """A file as a backbone takes it: one part (an image) or several (the windows of a sound), all of one shape.

    `parts` may be lazy, so that a long file never lies in memory as a whole; iterating it again reads again. `width` and
    `height` are those of an image in pixels (0: it has none), `format` is how people call the file's kind.
    """

    parts: Iterable[Shaped[np.ndarray, "..."]]
    width: int = 0
    height: int = 0
    format: str = ""
