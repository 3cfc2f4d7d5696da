"""One Lance table: opened at its newest version or at a named one, written by many at once."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from threading import RLock
from typing import Any

from featurelens.errors import FeaturelensError, GalleryError
from featurelens.scale.address import local_path, storage_options
from featurelens.scale.columns import COUNTER, COUNTER_PATH, Row, arrow_of, schema_of, spelt
from featurelens.scale.durable import Syncer, repaired
from featurelens.scale.engines import load_lance
from featurelens.scale.retry import again

Say = Callable[[str], None]
_LOOK_AGAIN_S = 1.0  # on another store; a look at this machine's disk costs next to nothing
_AT_ONCE = 500  # names in one filter
_CHANGED = (
    "target.size != source.size OR target.mtime_ns != source.mtime_ns OR target.status != source.status "
    "OR target.label IS DISTINCT FROM source.label"
)


class Table:
    """Reads see the newest committed state (`version`: that one for ever); safe to use from several threads."""

    def __init__(self, address: str, *, version: str | int | None = None, say: Say | None = None) -> None:
        self.address, self.version = address, version
        self._lance, self._lock = load_lance(), RLock()
        self._options = storage_options(address)
        self._local = local_path(address)
        self._sync = Syncer(self._local) if self._local is not None else lambda: None
        self._dataset = self._first_look(say)
        self._looked = time.monotonic()
        self._epoch = _epoch(self._dataset.schema.metadata)
        self._stays = self._replaced = False

    @classmethod
    def create(cls, address: str, dim: int, metadata: Mapping[bytes, bytes]) -> Table:
        """An empty table; GalleryError where one is already or none can be."""
        lance, schema = load_lance(), schema_of(dim, metadata)
        if exists(address):
            raise GalleryError(
                f"{address} holds a gallery already. Open it with Gallery.open, or give another address."
            )
        first = arrow_of([Row(0, COUNTER_PATH, 0, 0, status=COUNTER)], schema)
        local = local_path(address)
        try:
            if local is not None:
                local.parent.mkdir(parents=True, exist_ok=True)
            again(
                lambda: lance.write_dataset(
                    first, address, mode="create", storage_options=storage_options(address) or None
                )
            )
            if local is not None:
                Syncer(local)()
        except (OSError, RuntimeError, ValueError) as error:
            raise unusable(address, error) from error
        return cls(address)

    def latest(self) -> Any:
        """The Lance dataset at the newest version (looked for once a second on another store)."""
        with self._lock:
            now = time.monotonic()
            patient = self._local is None and now - self._looked < _LOOK_AGAIN_S
            if self.version is None and not patient:
                self._refresh()
            return self._dataset

    def replaced(self) -> bool:
        """Whether the table was made anew for another backbone; who asks goes on reading what was there before."""
        with self._lock:
            self._stays = True
            if self.version is None and not self._replaced:
                self._refresh()
            return self._replaced

    def refresh(self) -> Any:
        """The same, looked for now."""
        with self._lock:
            if self.version is None:
                self._refresh()
            return self._dataset

    @contextmanager
    def reading(self) -> Iterator[Any]:
        """The dataset at the newest version; what goes wrong inside comes as GalleryError."""
        dataset = self.latest()
        try:
            yield dataset
        except FeaturelensError:
            raise
        except (OSError, RuntimeError, ValueError) as error:
            raise unusable(self.address, error) from error

    def merge(self, rows: Sequence[Row], *, replace: bool = False) -> int:
        """Commit rows under their paths, together; returns how many are new to the table.

        A row that is there with the same size, time, status and label stays as it is (`replace`: is replaced), so that
        to commit twice, or by two writers, is to commit once. The paths are compared without their index: with it, Lance
        (14.0) lets two writers insert the same path, and refuses conditions.
        """
        if not rows:
            return 0

        def commit() -> Any:
            dataset = self._writable()
            merge = dataset.merge_insert("path").when_not_matched_insert_all().use_index(False)
            merge = merge.when_matched_update_all() if replace else merge.when_matched_update_all(_CHANGED)
            return merge.conflict_retries(20).execute(arrow_of(rows, dataset.schema))

        return int(self._commit(commit)["num_inserted_rows"])

    def delete(self, names: Sequence[str]) -> None:
        """Remove the rows of these names."""
        for start in range(0, len(names), _AT_ONCE):
            where = f"path IN ({', '.join(quoted(n) for n in names[start : start + _AT_ONCE])})"
            self._commit(lambda where=where: self._writable().delete(where))

    def relabel(self, label: str | None, names: Sequence[str]) -> None:
        """Give rows another label."""
        value = "NULL" if label is None else literal(label)
        for start in range(0, len(names), _AT_ONCE):
            where = f"path IN ({', '.join(quoted(n) for n in names[start : start + _AT_ONCE])})"
            self._commit(lambda where=where: self._writable().update({"label": value}, where=where))

    def reserve(self, count: int) -> int:
        """The first of `count` ids that no other writer will ever get."""
        if count < 1:
            return 0
        where = f"path = {literal(COUNTER_PATH)}"
        while True:
            (top,) = self.refresh().to_table(columns=["id"], filter=where).column("id").to_pylist()
            if self._raised(top, top + count, where):
                return top + 1

    def _raised(self, top: int, to: int, where: str) -> bool:
        """Whether the counter still stood at `top` and is now at `to`."""
        update, still = {"id": str(to)}, f"{where} AND id = {top}"
        return bool(self._commit(lambda: self._writable().update(update, where=still))["num_rows_updated"])

    def commit(self, action: Callable[[Any], Any]) -> Any:
        """Call `action` with the newest dataset, again after conflicts; what it wrote is durable afterwards."""
        return self._commit(lambda: action(self._writable()))

    def overwrite(self, first: Any) -> None:
        """A new version with these rows and their schema alone; this object must be opened again afterwards."""
        try:
            again(
                lambda: self._lance.write_dataset(
                    first, self.address, mode="overwrite", storage_options=self._options or None
                )
            )
            self._sync()
        except (OSError, RuntimeError, ValueError) as error:
            raise unusable(self.address, error) from error

    def _writable(self) -> Any:
        """A dataset of one's own at the newest version, so that committing moves no reader's."""
        if self.version is not None:
            raise GalleryError(
                f"{self.address}@{self.version} is a state of the past and cannot be changed; open {self.address}."
            )
        newest = self.refresh()
        return newest.checkout_version(newest.version)

    def _commit(self, action: Callable[[], Any]) -> Any:
        try:
            result = again(action)
            self._sync()
        except (OSError, RuntimeError, ValueError) as error:
            raise unusable(self.address, error) from error
        self.refresh()
        return result

    def _refresh(self) -> None:
        try:
            number = again(lambda: self._dataset.latest_version)
            if number != self._dataset.version:
                newer = again(lambda: self._dataset.checkout_version(number))
                if _epoch(newer.schema.metadata) != self._epoch:
                    self._replaced = True
                    if self._stays:
                        return
                    raise GalleryError(f"{self.address} was made anew for another backbone; open it again.")
                self._dataset = newer
        except (OSError, RuntimeError, ValueError) as error:
            raise unusable(self.address, error) from error
        self._looked = time.monotonic()

    def _first_look(self, say: Say | None) -> Any:
        def opened() -> Any:
            return self._lance.dataset(
                self.address, version=self.version, storage_options=self._options or None
            )

        try:
            if self._local is None or self.version is not None:
                return again(opened)
            if not self._local.is_dir():
                raise GalleryError(
                    f"There is no gallery at {self.address}. Create one with Gallery.create(images, at=...) or, on the "
                    f"command line, featurelens index IMAGES --gallery {self.address}."
                )
            dataset, aside = repaired(self._local, opened)
        except (OSError, RuntimeError, ValueError) as error:
            raise unusable(self.address, error) from error
        if aside and say is not None:
            say(
                f"The last commit of {self.address} was cut short (a power cut?) and has been put aside "
                f"({', '.join(aside)}.torn). All before it is there; index again to add what is missing."
            )
        return dataset


def _epoch(metadata: Mapping[bytes, bytes] | None) -> str:
    """What tells a table from the one that was there before it was made anew."""
    try:
        return str(json.loads((metadata or {})[b"featurelens"]).get("epoch"))
    except (KeyError, ValueError, AttributeError):
        return ""


def exists(address: str) -> bool:
    """Whether a table lies at the address."""
    try:
        lance, options = load_lance(), storage_options(address) or None
        again(lambda: lance.dataset(address, storage_options=options))
    except (OSError, RuntimeError, ValueError) as error:
        if local := local_path(address):
            return (local / "_versions").is_dir()
        if any(word in str(error).lower() for word in ("not found", "does not exist", "no such")):
            return False
        raise unusable(address, error) from error
    return True


def unusable(address: str, error: BaseException) -> GalleryError:
    """What Lance or the store says, in words that help."""
    text = " ".join(str(error).split())
    if "not found" in text.lower() or "does not exist" in text.lower():
        return GalleryError(f"There is no gallery at {address}, or not that version of it ({text[:200]}).")
    return GalleryError(
        f"The gallery {address} cannot be read or written now: {text[:300]}. What was committed before is kept; see to "
        "the store (address, keys, network, room), then run this again."
    )


def quoted(name: str) -> str:
    """A file name as a literal of Lance's filters."""
    return literal(spelt(name))


def literal(text: str) -> str:
    """A text as a literal of Lance's filters."""
    return "'" + text.replace("'", "''") + "'"
