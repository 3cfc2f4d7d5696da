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


def printable(name: str) -> str:
    """A file name as one line that any page can hold."""
    text = name.encode("utf-8", "backslashreplace").decode()
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def count(number_of: int, one: str, many: str | None = None) -> str:
    """A number with its noun.

    >>> count(1, "file"), count(2, "near-copy", "near-copies")
    ('1 file', '2 near-copies')
    """
    return f"{number_of} {one if number_of == 1 else many or one + 's'}"
