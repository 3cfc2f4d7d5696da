"""One image that a search found."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Hit:
    """An image of the gallery and its cosine similarity to the query, between -1 and 1.

    `id` names this content of this file: a renamed file keeps it, a changed file gets a new one.
    `name` is the path below the images folder, '/' between folders; width and height in pixels (0: unknown).
    """

    id: int
    name: str
    path: Path
    similarity: float
    label: str | None
    width: int
    height: int

    def _repr_html_(self) -> str:
        from html import escape

        text = escape(self.name.encode("utf-8", "replace").decode())
        return f"<code>{self.similarity:.3f}</code> {text}"
