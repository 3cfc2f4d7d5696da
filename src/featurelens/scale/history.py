"""States of a table that keep a name: the gallery before and after its backbone was adapted."""

from __future__ import annotations

import os

from featurelens.backbone.protocol import Backbone, Spec
from featurelens.errors import InvalidInput
from featurelens.scale.address import split_version
from featurelens.scale.columns import (
    COUNTER,
    COUNTER_PATH,
    Row,
    arrow_of,
    metadata_of,
    schema_of,
    settings_of,
)
from featurelens.scale.table import Table, literal
from featurelens.search.settings import Settings, new_epoch


def mark(place: str | os.PathLike[str], name: str) -> None:
    """Give the newest state of a table a name under which it stays: open it again as `cats.lance@name`.

    Raises InvalidInput for a name that is a number or is taken, GalleryError without such a table.
    """
    if not name or name.isdigit() or not all(c.isalnum() or c in "-_." for c in name):
        raise InvalidInput(f"'{name}' cannot name a state; give letters, digits, - and _, not only digits.")
    table = _newest(place)
    dataset = table.latest()
    if name in dataset.tags.list():
        raise InvalidInput(f"{table.address} has a state named '{name}' already. Give another name.")
    dataset.tags.create(name, dataset.version)


def marks(place: str | os.PathLike[str]) -> dict[str, int]:
    """The named states of a table: name and number of the version, the oldest first."""
    found = _newest(place).latest().tags.list()
    versions = {name: int(about["version"]) for name, about in found.items()}
    return dict(sorted(versions.items(), key=lambda item: (item[1], item[0])))


def renew(place: str | os.PathLike[str], backbone: Backbone, *, before: str) -> None:
    """Make a table ready for the vectors of another backbone; the state so far stays as `place@before`.

    Afterwards the table is empty, and an update of the gallery, opened with the new backbone, fills it. Both states can
    be searched, each with its own backbone. Raises InvalidInput for a name that is taken.
    """
    table = _newest(place)
    mark(place, before)
    settings, source = settings_of(table.latest().schema.metadata, table.address)
    spec: Spec = backbone.spec
    changed = Settings(settings.images, spec, settings.exact, settings.max_pixels, new_epoch())
    where = f"path = {literal(COUNTER_PATH)}"
    (top,) = table.latest().to_table(columns=["id"], filter=where).column("id").to_pylist()
    first = arrow_of(
        [Row(top, COUNTER_PATH, 0, 0, status=COUNTER)], schema_of(spec.dim, metadata_of(changed, source))
    )
    table.overwrite(first)


def _newest(place: str | os.PathLike[str]) -> Table:
    address, version = split_version(place)
    if version is not None:
        raise InvalidInput(f"'{place}' names a state of the past; give the address without '@{version}'.")
    return Table(address)
