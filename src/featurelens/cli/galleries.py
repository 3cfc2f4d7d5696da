"""Which gallery a command means, and opening or making it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from featurelens.cli.terminal import say
from featurelens.errors import GalleryError

if TYPE_CHECKING:
    from featurelens.search import Gallery

OWN_FOLDER = ".featurelens"


def find_gallery(given: Path | None, *starts: Path) -> Path:
    """The gallery folder that was given, or the nearest one from the starts upwards; GalleryError if none."""
    if given is not None:
        folder = _gallery_in(given)
        if folder is None:
            raise GalleryError(
                f"There is no gallery in {given}. Make one with: featurelens index {given}"
                if given.is_dir()
                else f"There is no folder {given}. Give the folder that was indexed."
            )
        return folder
    for start in starts:
        for place in (start.absolute(), *start.absolute().parents):
            if (folder := _gallery_in(place)) is not None:
                return folder
    raise GalleryError(
        "No gallery here or in a folder above. Name one with --gallery DIR, or make one with: "
        "featurelens index DIR"
    )


def open_or_create(
    images: Path,
    *,
    backbone: str | None,
    at: Path | None,
    device: str = "auto",
    exact: bool = False,
    max_pixels: int = 100_000_000,
) -> Gallery:
    """The gallery of a folder of images; a new one gets the backbone named, or the embedded one.

    GalleryError where the folder's gallery was made with other rules than the ones asked for.
    """
    from featurelens.search import Gallery

    folder = at or images / OWN_FOLDER
    if _gallery_in(folder) is None:
        if not images.is_dir():
            raise GalleryError(f"There is no folder {images}. Give a folder of images.")
        return Gallery.create(
            images,
            backbone=backbone or "embedded",
            at=at,
            exact=exact,
            max_pixels=max_pixels,
            device=device,
            say=say,
        )
    gallery = Gallery.open(folder, backbone=backbone, device=device, say=say)
    made = gallery.settings
    if (exact and not made.exact) or max_pixels not in (made.max_pixels, 100_000_000):
        gallery.close()
        raise GalleryError(
            f"{folder} was made with exact={made.exact} and max_pixels={made.max_pixels:,}; its vectors must all be "
            "made alike. Leave these options out, or index into another folder with --at DIR."
        )
    return gallery


def _gallery_in(place: Path) -> Path | None:
    for folder in (place, place / OWN_FOLDER):
        if (folder / "gallery.db").is_file():
            return folder
    return None
