"""What a user writes for an image or for a part of one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import typer

Box = tuple[float, float, float, float]


def asked(text: str) -> int | Path:
    """`id:12` as an id of the gallery, anything else as a file; BadParameter for a broken id."""
    if not text.startswith("id:"):
        from featurelens.images.address import place_of

        return place_of(text)
    number = text[3:]
    if not (number.isascii() and number.isdecimal() and int(number) < 2**63):
        raise typer.BadParameter(f"'{text}' is not an id; expected id: and a number, e.g. id:12")
    return int(number)


def concepts_of(texts: Sequence[str]) -> dict[int, float]:
    """`12` or `12:0.5` as concepts and their weights (1 where none is said); BadParameter for what is neither."""
    found: dict[int, float] = {}
    for text in texts:
        number, colon, weight = text.partition(":")
        try:
            if not number.isdecimal() or (colon and not weight):
                raise ValueError
            found[int(number)] = float(weight) if colon else 1.0
        except ValueError:
            raise typer.BadParameter(
                f"'{text}' is no concept; expected its number, with or without a weight: 12, 12:0.5 or 12:-0.5",
                param_hint="--concept",
            ) from None
    return found


def box_of(text: str, size: tuple[int, int]) -> Box:
    """`left,top,right,bottom` as fractions of an image of this (width, height); numbers above 1 are pixels."""
    try:
        left, top, right, bottom = (float(part) for part in text.split(","))
    except ValueError:
        raise typer.BadParameter(
            f"'{text}' is not LEFT,TOP,RIGHT,BOTTOM, e.g. 0.2,0.1,0.6,0.5 or, in pixels, 80,40,240,200",
            param_hint="--box",
        ) from None
    if max(left, top, right, bottom) > 1:
        left, right = left / size[0], right / size[0]
        top, bottom = top / size[1], bottom / size[1]
    if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
        raise typer.BadParameter(
            f"'{text}' is no part of an image of {size[0]} x {size[1]} pixels: right must lie beyond left and bottom "
            "below top, all within the image",
            param_hint="--box",
        )
    return left, top, right, bottom
