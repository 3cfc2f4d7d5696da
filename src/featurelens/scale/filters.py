"""A search's limits as a filter of Lance: the same images as the SQLite gallery's."""

from __future__ import annotations

import re

from featurelens.scale.columns import spelt
from featurelens.scale.table import literal
from featurelens.scale.view import HAVE_VECTORS
from featurelens.search.rows import storable

_WILD = "*?["


def where(path: str | None, label: str | None) -> str:
    """The filter for indexed images under a path pattern and with a label.

    >>> where("dogs/", "dog")
    "status = 'indexed' AND label = 'dog' AND (path = 'dogs' OR starts_with(path, 'dogs/'))"
    """
    parts = [HAVE_VECTORS]
    if label is not None:
        parts.append(f"label = {literal(storable(label))}")
    if path is not None:
        whole = spelt(path.strip("/"))
        ways = [f"path = {literal(whole)}", f"starts_with(path, {literal(whole + '/')})"]
        fixed = "" if path[:1] == "/" else path[: min((path.index(c) for c in _WILD if c in path), default=0)]
        if fixed:  # the index finds these; the rest is then tried on few
            parts.append(f"starts_with(path, {literal(spelt(fixed))})")
        if any(c in path for c in _WILD) and (pattern := _pattern(spelt(path))) is not None:
            ways.append(f"regexp_like(path, {literal(pattern)})")
        if not fixed or path != fixed + "*":
            parts.append(f"({' OR '.join(ways)})")
    return " AND ".join(parts)


def _pattern(glob: str) -> str | None:
    """SQLite's GLOB as a regular expression, by the rules of its patternCompare; None: it matches nothing.

    `*` and `?` also take '/', a set may be turned round by `^`, and one that is not closed matches nothing.
    """
    out, i = ["^"], 0
    while i < len(glob):
        if glob[i] == "*":
            out.append("(?s:.*)")
        elif glob[i] == "?":
            out.append("(?s:.)")
        elif glob[i] == "[":
            found = _set(glob, i + 1)
            if found is None:
                return None
            text, i = found
            out.append(text)
        else:
            out.append(re.escape(glob[i]))
        i += 1
    return "".join([*out, "$"])


def _set(glob: str, i: int) -> tuple[str, int] | None:
    """The set that begins at `i` as a regular expression, and where its ']' is; None if there is none."""
    turned = glob[i : i + 1] == "^"
    i += turned
    items, before = [], ""
    if glob[i : i + 1] == "]":
        items.append("\\]")
        i += 1
    while i < len(glob) and glob[i] != "]":
        if glob[i] == "-" and before and glob[i + 1 : i + 2] not in ("", "]"):
            i += 1
            if before <= glob[i]:
                items.append(f"{_plain(before)}-{_plain(glob[i])}")
            before = ""
        else:
            before = glob[i]
            items.append(_plain(before))
        i += 1
    if i >= len(glob):
        return None
    if not items:
        return ("(?s:.)" if turned else "[^\\s\\S]"), i
    return f"[{'^' * turned}{''.join(items)}]", i


def _plain(c: str) -> str:
    """A character that means nothing inside of a set."""
    return "\\" + c if c in "[]&~^-\\" else c
