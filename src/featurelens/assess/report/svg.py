"""Small pieces of SVG: elements, scales and axes; colours come from the page's style sheet."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from html import escape

Scale = Callable[[float], float]
Number = float | int
"""Both by name: the shape checks of the tests take a float literally."""


def tag(name: str, *inside: str, **attributes: object) -> str:
    """One element; `_` in attribute names becomes `-`, a trailing one is dropped (class_)."""
    pairs = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_number(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return f"<{name}{pairs}>{''.join(inside)}</{name}>"


def _number(value: object) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def text(content: str, x: Number, y: Number, **attributes: object) -> str:
    """Escaped text at a place."""
    return tag("text", escape(content), x=x, y=y, **attributes)


def figure(width: Number, height: Number, label: str, *parts: str) -> str:
    """The whole drawing; it scales with the page, and `label` is read out."""
    return tag(
        "svg",
        *parts,
        viewBox=f"0 0 {width:g} {height:g}",
        role="img",
        aria_label=label,
        style=f"max-width:{width:g}px",
    )


def linear(low: Number, high: Number, start: Number, end: Number) -> Scale:
    """Values from low to high onto pixels from start to end."""
    span = high - low or 1.0
    return lambda value: start + (value - low) / span * (end - start)


def logarithmic(low: Number, high: Number, start: Number, end: Number) -> Scale:
    """The same on a logarithmic axis."""
    inner = linear(math.log10(low), math.log10(high), start, end)
    return lambda value: inner(math.log10(value))


def ticks(low: Number, high: Number, count: int = 5) -> list[float]:
    """About `count` round numbers between low and high.

    >>> ticks(0.0, 1.0)
    [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    """
    span = (high - low) or 1.0
    step = 10 ** math.floor(math.log10(span / count))
    step *= min((1, 2, 5, 10), key=lambda m: abs(span / (step * m) - count))
    first = math.ceil(low / step - 1e-9)
    return [round(i * step, 10) for i in range(first, math.floor(high / step + 1e-9) + 1)]


def log_ticks(low: Number, high: Number) -> list[float]:
    """1, 2, 5 times powers of ten between low and high."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    found = [m * 10.0**p for p in powers for m in (1, 2, 5)]
    return [value for value in found if low <= value <= high]


def axes(
    box: tuple[Number, Number, Number, Number],
    x: Scale,
    y: Scale,
    x_ticks: Sequence[Number],
    y_ticks: Sequence[Number],
    *,
    x_title: str,
    y_title: str,
    x_names: Sequence[str] | None = None,
) -> str:
    """Grid lines, numbers and titles around the box (left, top, right, bottom)."""
    left, top, right, bottom = box
    parts = []
    for value in y_ticks:
        parts.append(tag("line", x1=left, x2=right, y1=y(value), y2=y(value), class_="grid"))
        parts.append(text(f"{value:g}", left - 6, y(value) + 4, class_="tick", text_anchor="end"))
    names = x_names or [f"{value:g}" for value in x_ticks]
    for value, name in zip(x_ticks, names, strict=True):
        parts.append(tag("line", x1=x(value), x2=x(value), y1=bottom, y2=bottom + 4, class_="axis"))
        parts.append(text(name, x(value), bottom + 17, class_="tick", text_anchor="middle"))
    parts.append(tag("line", x1=left, x2=right, y1=bottom, y2=bottom, class_="axis"))
    parts.append(text(x_title, (left + right) / 2, bottom + 36, class_="title", text_anchor="middle"))
    parts.append(text(y_title, max(left - 36, 4), top - 14, class_="title"))
    return "".join(parts)
