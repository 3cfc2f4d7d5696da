"""Numbers and file names in sentences."""

from __future__ import annotations


def count(number_of: int, one: str, many: str | None = None) -> str:
    """A number with its noun.

    >>> count(1, "file"), count(2000, "near-copy", "near-copies")
    ('1 file', '2,000 near-copies')
    """
    return f"{number_of:,} {one if number_of == 1 else many or one + 's'}"


def printable(name: str) -> str:
    """A file name as one safe line: control characters and undecodable bytes as escapes."""
    text = name.encode("utf-8", "backslashreplace").decode()
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
