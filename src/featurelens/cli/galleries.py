"""Which gallery a command means, and opening or making it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from featurelens.cli.terminal import say
from featurelens.errors import GalleryError

if TYPE_CHECKING:
    from featurelens.search import Gallery

OWN_FOLDER = ".featurelens"


def find_gallery(given: Path | None, *starts: Path) -> Path:
    """The gallery folder that was given, or the nearest one from the starts upwards; GalleryError if none."""
    if given is not None:
        if (table := _table(given)) is not None:
            return table
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
    images: Path | Sequence[str],
    *,
    backbone: str | None,
    at: str | Path | None,
    device: str = "auto",
    exact: bool = False,
    max_pixels: int = 100_000_000,
) -> Gallery:
    """The gallery of a folder of images; a new one gets the backbone named, or the embedded one.

    `images`: a folder; for a Lance table also an address, tar shards or Parquet files. GalleryError where the gallery
    was made with other rules than the ones asked for.
    """
    from featurelens.search import Gallery

    if at is not None and (table := _table(at)) is not None:
        found = _table_of(images, table)
    else:
        found = _folder_of(_one_folder(images), None if at is None else Path(at))
    make = {"exact": exact, "max_pixels": max_pixels, "device": device, "say": say}
    if found.new:
        return Gallery.create(found.images, backbone=backbone or "embedded", at=found.place, **make)
    gallery = Gallery.open(found.place or "", backbone=backbone, device=device, say=say)
    made = gallery.settings
    if (exact and not made.exact) or max_pixels not in (made.max_pixels, 100_000_000):
        gallery.close()
        raise GalleryError(
            f"{gallery.address} was made with exact={made.exact} and max_pixels={made.max_pixels:,}; its vectors must all "
            "be made alike. Leave these options out, or index into another folder with --at DIR."
        )
    try:
        if at is not None and found.images is None:
            _follow(gallery, _one_folder(images))
        elif found.images is not None:
            gallery.store.move(found.images)
    except BaseException:
        gallery.close()
        raise
    return gallery


def _follow(gallery: Gallery, images: Path) -> None:
    """Let a gallery know that its folder of images was moved to `images`; GalleryError where that is another folder."""
    held = gallery.images_folder
    if images.resolve() == held.resolve():
        return
    if held.is_dir() or not images.is_dir():
        raise GalleryError(
            f"{gallery.address} holds the images of {held}, not of {images}. Index these into another gallery with --at "
            "DIR; where the folder was moved, give its new place."
        )
    gallery.store.move(images)


@dataclass(frozen=True)
class _Found:
    """Where a gallery lies or shall lie, and the images to give to it."""

    place: Path | None
    images: Any
    new: bool


def _folder_of(images: Path, at: Path | None) -> _Found:
    folder = at or images / OWN_FOLDER
    if _gallery_in(folder) is not None:
        return _Found(folder, None, new=False)
    if not images.is_dir():
        raise GalleryError(f"There is no folder {images}. Give a folder of images.")
    return _Found(at, images, new=True)


def _table_of(images: Path | Sequence[str], place: Path) -> _Found:
    from featurelens.scale import Source, exists, source_of

    wanted = source_of([images] if isinstance(images, Path) else images)
    if not exists(str(place)):
        return _Found(place, images, new=True)
    from featurelens.search import Gallery

    with Gallery.open(place) as gallery:
        held: Source = gallery.store.source  # pyright: ignore[reportAttributeAccessIssue]
    if held.root != wanted.root:
        raise GalleryError(
            f"{place} holds the images of {held.root}, not of {wanted.root}. Index these into another table, or, if the "
            "images were moved, open it once with Gallery.open(TABLE, images=NEW_PLACE).update()."
        )
    return _Found(place, images, new=False)


def renew_for(
    images: Path | Sequence[str], at: str | Path, backbone: str, *, before: str, device: str
) -> None:
    """Empty a table for another backbone, its state kept as `before`; not again where that was done and broken off.

    GalleryError where the table holds other images: then nothing is emptied.
    """
    from featurelens.backbone import load_backbone
    from featurelens.scale import marks, renew
    from featurelens.search import Gallery

    place = _table(at)
    assert place is not None, "the command has looked"
    _table_of(images, place)
    network = load_backbone(backbone, device=device, say=say)
    with Gallery.open(at) as held:
        renewed = held.spec.fingerprint == network.spec.fingerprint
    if not (renewed and before in marks(at)):
        renew(at, network, before=before)


def _one_folder(images: Path | Sequence[str]) -> Path:
    """The folder that is meant; what only a table can hold is refused with the way to do it."""
    from featurelens.images.address import address_of
    from featurelens.images.members import is_container

    texts = [str(images)] if isinstance(images, Path) else list(images)
    if len(texts) != 1 or address_of(texts[0]) or is_container(texts[0]):
        raise GalleryError(
            f"Images of another store and inside of shards ({texts[0]}) are indexed into a Lance table. Name one, here "
            "or on a store: --gallery NAME.lance"
        )
    return Path(texts[0])


def names_a_table(given: str | Path) -> bool:
    """Whether the text means a Lance table."""
    return _table(given) is not None


def _table(given: str | Path) -> Path | None:
    """The place of a Lance table, if that is what the text means."""
    from featurelens.images.address import place_of
    from featurelens.search.store import is_table

    return place_of(given) if is_table(given) else None


def _gallery_in(place: Path) -> Path | None:
    for folder in (place, place / OWN_FOLDER):
        if (folder / "gallery.db").is_file():
            return folder
    return None
