"""Where results may lie: never where the next run would take their pictures for the user's images."""

from __future__ import annotations

from pathlib import Path

import typer


def apart_from(images: Path, folder: Path, *, hint: str = "--out") -> None:
    """Refuse a `folder` for results that lies in the folder `images`, unless below a hidden one, which nothing reads.

    Raises typer.BadParameter.
    """
    root, place = images.resolve(), folder.resolve()
    if not root.is_dir() or not place.is_relative_to(root):
        return
    if any(part.startswith(".") for part in place.relative_to(root).parts):
        return
    raise typer.BadParameter(
        f"'{folder}' lies among the images of '{images}', and what is written there would be read as one of them by the "
        f"next run. Give a folder beside them, or a hidden one such as '{images / '.featurelens' / 'results'}'.",
        param_hint=hint,
    )
