"""Where results may lie: never where the next run would take their pictures for the user's images."""

from __future__ import annotations

from pathlib import Path

import typer

RESULTS = Path("featurelens-out")  # find.RESULTS_FOLDER, without importing what reads images


def apart_from(images: Path, folder: Path, *, hint: str = "--out") -> None:
    """Refuse a `folder` for results that lies in the folder `images`, unless below one that no walk reads.

    Raises typer.BadParameter.
    """
    from featurelens.images.find import left_out

    root, place = images.resolve(), folder.resolve()
    if not root.is_dir() or not place.is_relative_to(root):
        return
    if any(map(left_out, place.relative_to(root).parts)):
        return
    raise typer.BadParameter(
        f"'{folder}' lies among the images of '{images}', and what is written there would be read as one of them by the "
        f"next run. Give a folder beside them, or in it '{images / RESULTS}', which is never read.",
        param_hint=hint,
    )
