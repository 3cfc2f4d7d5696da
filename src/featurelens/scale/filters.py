"""A search's limits as a filter of Lance: the same images as the SQLite gallery's."""

from __future__ import annotations

import re

from featurelens.scale.columns import spelt
from featurelens.scale.table import literal
from featurelens.scale.view import HAVE_VECTORS
from featurelens.search.rows import storable

_WILD = "*?["
_SET = re.compile(r"([\[\]&~^\\])")  # what means something inside of a set


def where(path: str | None, label: str | None) -> str:
    """The filter for indexed images under a path pattern and with a label.

    >>> where("dogs/", "dog")
    "status = 'indexed' AND label = 'dog' AND (path = 'dogs' OR starts_with(path, 'dogs/'))"
    """
    parts = [HAVE_VECTORS]
    if label is not None:
        parts.append(f"label = {literal(storable(label))}")
    if path is not None and any(c in path for c in _WILD):
        fixed = path[: min(path.index(c) for c in _WILD if c in path)]
        if fixed:  # the index finds these; the pattern is then tried on few
            parts.append(f"starts_with(path, {literal(spelt(fixed))})")
        if path != fixed + "*":
            parts.append(f"regexp_like(path, {literal(_pattern(spelt(path)))})")
    elif path is not None:
        whole = spelt(path.strip("/"))
        parts.append(f"(path = {literal(whole)} OR starts_with(path, {literal(whole + '/')}))")
    return " AND ".join(parts)


def _pattern(glob: str) -> str:
    """SQLite's GLOB as a regular expression: `*` and `?` also take '/', a `[` set may be turned round by `^`."""
    out, i = ["^"], 0
    while i < len(glob):
        c = glob[i]
        end = glob.find("]", i + 2 + (glob[i + 1 : i + 2] == "^")) if c == "[" else -1
        if c == "*":
            out.append("(?s:.*)")
        elif c == "?":
            out.append("(?s:.)")
        elif end > 0:
            inner = glob[i + 1 : end]
            turned, inner = ("^", inner[1:]) if inner.startswith("^") else ("", inner)
            out.append("[" + turned + _SET.sub(r"\\\1", inner) + "]")
            i = end
        else:
            out.append(re.escape(c))
        i += 1
    return "".join([*out, "$"])
