"""Numbers, intervals and names as the page writes them."""

from __future__ import annotations


def number(value: float | None) -> str:
    """Three digits that matter, without exponents."""
    if value is None or value != value:
        return "–"
    size = abs(value)
    digits = 0 if size >= 100 or (size > 1 and size == int(size)) else 1 if size >= 10 else 3
    return f"{value:.{digits}f}".replace("-", "−")


def rate(value: float | None) -> str:
    """Images a second, with one digit after the point below ten."""
    return "–" if value is None else f"{value:.{1 if value < 10 else 0}f}"


def span(interval: tuple[float, float]) -> str:
    """An interval in words, safe with negative numbers."""
    return f"{number(interval[0])} to {number(interval[1])}"


def megabytes(value: int | None) -> str:
    """Bytes as MB."""
    return "–" if value is None else f"{value / 1e6:.0f} MB"
