"""From a map or a row of tokens to one vector per image."""

from __future__ import annotations

from typing import Any

import numpy as np

from featurelens.errors import InvalidInput
from featurelens.shapes import Float

POOLINGS = ("avg", "max", "gem", "cls", "flatten")


def check_pooling(how: str) -> None:
    """InvalidInput, with the known names, for a pooling that does not exist."""
    if how not in POOLINGS:
        raise InvalidInput(f"There is no pooling '{how}'. Known: {', '.join(POOLINGS)}.")


def pool(output: Any, how: str = "avg", *, power: float = 3.0) -> Float[np.ndarray, "batch dim"]:
    """Pool a numpy or torch array: maps [batch, channel, row, col], tokens [batch, token, channel], rows.

    avg, max and gem go over positions; gem is the mean of x^power of the positive part (Radenović et
    al., "Fine-tuning CNN Image Retrieval with No Human Annotation", 2018); cls is the first token;
    flatten keeps every number. [batch, dim] passes as it is. InvalidInput for other shapes, and for
    cls of a map, which has no such token.

    >>> pool(np.arange(8.0, dtype=np.float32).reshape(1, 2, 2, 2), "max")
    array([[3., 7.]], dtype=float32)
    """
    check_pooling(how)
    shape = tuple(output.shape)
    if len(shape) == 2:
        return _numpy(output)
    if len(shape) not in (3, 4):
        raise InvalidInput(
            f"Cannot pool an output of shape {list(shape)}; expected [batch, channel, row, col], "
            "[batch, token, channel] or [batch, dim]. Choose another layer."
        )
    if how == "flatten":
        return _numpy(output.reshape(shape[0], -1))
    if how == "cls":
        if len(shape) == 4:
            raise InvalidInput(
                f"pooling 'cls' takes the first token of [batch, token, channel], but this layer gives a "
                f"map {list(shape)}. Use avg, max or gem."
            )
        return _numpy(output[:, 0])
    places = tuple(range(2, len(shape))) if len(shape) == 4 else (1,)
    if how == "gem":
        return _gem(_float(output), places, power)
    if how == "max":
        return _numpy(output.amax(places) if hasattr(output, "amax") else output.max(places))
    return _numpy(_float(output).mean(places))


def check_size(images: int, dim: int, limit: int, what: str) -> None:
    """InvalidInput if `images` vectors of `dim` float32 numbers would take more than `limit` bytes."""
    need = images * dim * 4
    if need > limit:
        raise InvalidInput(
            f"{what} gives {dim:,} numbers per image: {images:,} images need {need / 2**30:.1f} GiB, and the "
            f"limit is {limit / 2**30:.1f} GiB. Use pooling='avg', a later layer or fewer images, or allow "
            "it with max_bytes=..."
        )


def _gem(values: Any, places: tuple[int, ...], power: float) -> Float[np.ndarray, "batch dim"]:
    positive = values.clip(min=1e-6)
    top = (
        positive.amax(places, keepdim=True)
        if hasattr(positive, "amax")
        else positive.max(places, keepdims=True)
    )
    mean = ((positive / top) ** power).mean(places)  # scaled, so that large values do not overflow
    return _numpy(mean ** (1 / power) * top.reshape(mean.shape))


def _float(values: Any) -> Any:
    return values.float() if hasattr(values, "float") else np.asarray(values, np.float32)


def _numpy(values: Any) -> Float[np.ndarray, "batch dim"]:
    if hasattr(values, "detach"):
        values = values.detach().float().cpu().numpy()
    return np.ascontiguousarray(values, dtype=np.float32)
