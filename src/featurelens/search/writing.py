"""What a process does while it holds the writer's lock of a gallery."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

from featurelens.backbone.protocol import Backbone
from featurelens.backbone.request import free_cores
from featurelens.errors import GalleryError
from featurelens.features.labels import Labels
from featurelens.features.lock import WriterLock
from featurelens.features.progress import OnProgress
from featurelens.features.table import Features
from featurelens.search.failures import explained, made_anew
from featurelens.search.ledger import Ledger
from featurelens.search.place import LOCK
from featurelens.search.rows import storable
from featurelens.search.schema import connect_reader, connect_writer
from featurelens.search.settings import Settings, read_settings
from featurelens.search.update import Updater, UpdateReport
from featurelens.search.upkeep import write_caches

_ROWS = 4096


@contextmanager
def writing(folder: Path) -> Iterator[sqlite3.Connection]:
    """Inside, this process alone writes; errors come as GalleryError."""
    with explained(folder), WriterLock(folder / LOCK), closing(connect_writer(folder)) as connection:
        yield connection


def update_gallery(
    folder: Path,
    settings: Settings,
    backbone: Backbone,
    *,
    opened: Settings,
    batch_size: int,
    workers: int,
    labels: bool,
    retry_skipped: bool,
    on_progress: OnProgress | None,
) -> UpdateReport:
    """One update, then the caches if they have fallen behind; `opened` are the settings before a move of the images."""
    with writing(folder) as connection:
        held = _unreplaced(connection, folder, settings)
        if held.images not in (opened.images, settings.images):
            raise GalleryError(
                f"The images of the gallery in {folder} were moved to {held.images} since it was opened here, from "
                f"{opened.images}; nothing was changed. Open it again."
            )
        known, _ = connect_reader(folder)
        with closing(known):
            updater = Updater(
                connection,
                known,
                settings,
                backbone,
                batch_size=batch_size,
                workers=workers,
                on_progress=on_progress,
            )
            notes: list[str] = []
            label_of = Labels(settings.images, on_error=notes.append) if labels else None
            report = updater.run(own=folder, label_of=label_of, retry_skipped=retry_skipped, notes=notes)
        notes = upkeep(connection, folder, settings, verify=True)
    return replace(report, notes=(*report.notes, *notes))


def add_vectors(folder: Path, settings: Settings, features: Features, *, optimize: bool) -> list[str]:
    """Make given vectors durable, in place of any of the same names; the notes of `upkeep`."""
    texts = features.labels or ("",) * len(features)
    labels = [storable(text) or None for text in texts]
    with writing(folder) as connection:
        _unreplaced(connection, folder, settings)
        ledger = Ledger(connection)
        for start in range(0, len(features), _ROWS):
            some = slice(start, start + _ROWS)
            with ledger.transaction():
                ledger.give(features.ids[some], features.vectors[some], labels[some])
        return upkeep(connection, folder, settings) if optimize else []


def _unreplaced(connection: sqlite3.Connection, folder: Path, settings: Settings) -> Settings:
    """The settings as they are now; GalleryError where another gallery was made in the place of the one opened."""
    held = read_settings(connection, folder)
    if held.epoch != settings.epoch:
        raise made_anew(folder)
    return held


def upkeep(
    connection: sqlite3.Connection, folder: Path, settings: Settings, *, verify: bool = False
) -> list[str]:
    """Write the caches that have fallen behind; what hinders that comes back as a note, since nothing is lost by it.

    `verify`: also those whose files were changed by others, which is noted.
    """
    notes: list[str] = []
    dim, epoch = settings.spec.dim, settings.epoch
    note = notes.append if verify else None
    try:
        write_caches(connection, folder, dim, epoch, threads=free_cores(), note=note)
    except (OSError, sqlite3.OperationalError) as error:
        why = (isinstance(error, OSError) and error.strerror) or error
        notes.append(
            f"The files that make searching fast could not be written in {folder} ({why}). Nothing is lost: all images "
            "are found, only slower. The next `update`, `add` or `optimize` tries again."
        )
    return notes
