"""Where a gallery lies, and making a new one."""

from __future__ import annotations

from pathlib import Path

from featurelens.durable import write_file
from featurelens.errors import GalleryError, InvalidInput
from featurelens.features.lock import WriterLock
from featurelens.images.find import GALLERY_FOLDER
from featurelens.search.failures import explained
from featurelens.search.schema import DATABASE, create_database
from featurelens.search.settings import Settings, write_settings

LOCK = "writer.lock"
NEIGHBOURS = ("adapt", "assess", "tune", "units")
"""Results that other commands keep in `.featurelens` beside the images; they hinder no gallery."""


def folder_of(path: Path) -> Path:
    """The gallery folder that `path` is, or that lies in the images folder `path`; GalleryError if neither."""
    for folder in (path, path / GALLERY_FOLDER):
        if (folder / DATABASE).is_file():
            return folder
    raise GalleryError(
        f"There is no gallery in {path}. Create one with Gallery.create(images, backbone=...) or, on the command "
        "line, featurelens index IMAGES."
    )


def make_folder(images: Path, at: Path | None, settings: Settings) -> Path:
    """Create the folder and the database of a new gallery; GalleryError where one cannot be."""
    if not images.is_dir():
        raise InvalidInput(f"There is no folder {images}. Give the folder that holds the images.")
    folder = at or images / GALLERY_FOLDER
    _refuse_bad_place(images, folder)
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with WriterLock(folder / LOCK):
            _refuse_bad_place(images, folder)
            for left in folder.glob(f".{DATABASE}.*.tmp*"):
                left.unlink(missing_ok=True)
            if at is None:
                write_file(folder / ".gitignore", lambda file: file.write(b"*\n"), durable=False)
            create_database(folder, lambda connection: write_settings(connection, folder, settings))
    return folder


def _refuse_bad_place(images: Path, folder: Path) -> None:
    if (folder / DATABASE).exists():
        raise GalleryError(
            f"{folder} holds a gallery already. Open it with Gallery.open, or delete the folder to start anew."
        )
    if folder.exists():
        if not folder.is_dir():
            raise GalleryError(f"{folder} is a file; give a folder for the gallery.")
        if folder.resolve() == images.resolve():
            raise GalleryError(
                f"The gallery cannot be the images folder itself ({folder}); give another at=DIR."
            )
        known = (LOCK, *(NEIGHBOURS if folder.name == GALLERY_FOLDER else ()))
        strangers = [p.name for p in folder.iterdir() if p.name not in known and not p.name.startswith(".")]
        if strangers:
            raise GalleryError(
                f"{folder} is not empty (it holds '{strangers[0]}'); give a new or empty folder for the gallery."
            )
