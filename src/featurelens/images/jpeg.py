"""The fast way for JPEG: libjpeg-turbo decodes large photos at a half, a quarter or an eighth of their size.

Scaled decoding keeps only the low frequencies of each 8 × 8 block, so it costs less and does not alias.
"""

from __future__ import annotations

import simplejpeg
from PIL import Image

from featurelens.images.fit import Fit
from featurelens.images.resize import resized_size


def decode_jpeg(data: bytes, size: tuple[int, int], fit: Fit | None) -> Image.Image | None:
    """The RGB image, never smaller than the fit needs; `size` is the stored (width, height).

    None where this decoder finds anything odd: the caller then asks Pillow, which reads more kinds and
    knows better what is wrong.
    """
    width, height = size
    smallest: dict[str, int] = {}
    if fit is not None:
        needed_width, needed_height = resized_size(width, height, fit)
        if min(width / needed_width, height / needed_height) >= 2:
            smallest = {"min_width": needed_width, "min_height": needed_height, "min_factor": 1}
    try:
        pixels = simplejpeg.decode_jpeg(data, "RGB", **smallest)
    except (ValueError, RuntimeError, OSError):
        return None
    return Image.fromarray(pixels)
