"""Pixels as files that browsers show."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

from featurelens.shapes import UInt8


def webp(pixels: UInt8[np.ndarray, "row col 3"], *, quality: int = 90) -> bytes:
    """A WebP file."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "WEBP", quality=quality, method=2)
    return buffer.getvalue()


def png(pixels: UInt8[np.ndarray, "row col 3"]) -> bytes:
    """A PNG file, for drawings with letters and lines."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=3)
    return buffer.getvalue()


def data_uri(pixels: UInt8[np.ndarray, "row col 3"]) -> str:
    """A WebP inside an address."""
    return "data:image/webp;base64," + base64.b64encode(webp(pixels)).decode()
