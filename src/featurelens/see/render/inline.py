"""A picture inside a notebook."""

from __future__ import annotations

import base64
import html
import io

import numpy as np
from PIL import Image

from featurelens.shapes import UInt8


def as_html(picture: UInt8[np.ndarray, "row col 3"], title: str) -> str:
    """An `<img>` that holds the picture itself.

    >>> as_html(np.zeros((2, 2, 3), np.uint8), "a < b")[:44]
    '<img alt="a &lt; b" src="data:image/png;base'
    """
    data = io.BytesIO()
    Image.fromarray(picture).save(data, "PNG")
    return f'<img alt="{html.escape(title)}" src="data:image/png;base64,{base64.b64encode(data.getvalue()).decode()}">'
