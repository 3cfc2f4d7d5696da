"""Which layout of the gallery is shown: the better one if it was made, else the quick one."""

from __future__ import annotations

import json
from pathlib import Path
from threading import Lock

import numpy as np

from featurelens.search import Gallery
from featurelens.search.listing import Listing
from featurelens.search.vectors import Snapshot
from featurelens.web.layout import Layout, all_vectors, by_components
from featurelens.web.problems import Problem

_OLD = 0.5  # a layout that lacks more than this share of the gallery is no better than the quick one


class Maps:
    """The layouts of one gallery; the better one is kept in a file of its folder."""

    def __init__(self, gallery: Gallery, listing: Listing, folder: Path) -> None:
        self._gallery, self._listing = gallery, listing
        self._file = folder / "layout.npz"
        self._lock = Lock()
        self._better: Layout | None = None
        self._quick: tuple[Snapshot, Layout] | None = None

    def keep(self, layout: Layout) -> None:
        """Keep the better layout."""
        self._better = layout
        try:
            layout.save(self._file)
        except OSError:
            return  # a gallery that cannot be written: memory has it

    def as_json(self, method: str | None) -> bytes:
        """The best layout there is, or the one of this method; a 422 problem if it was never made."""
        with self._lock:
            if self._better is None:
                self._better = Layout.load(self._file)
            better = None if method == "pca" else self._better
            if better is None and method == "opentsne":
                raise Problem(422, "The layout by neighbours was not made yet; start the job 'layout'.")
            alive = self._listing.contents.ids
            if better is not None and method is None and _missing(better, alive) > _OLD * len(alive):
                better = None
            return self._document(better or self._components(), alive, ready=self._better is not None)

    def _components(self) -> Layout:
        snapshot = self._gallery.finder.snapshot()
        if self._quick is None or self._quick[0] is not snapshot:
            self._quick = snapshot, by_components(*all_vectors(self._gallery))
        return self._quick[1]

    def _document(self, layout: Layout, alive: np.ndarray, *, ready: bool) -> bytes:
        """The layout of those images that are still there."""
        kept = np.isin(layout.ids, alive)
        labels = self._listing.labels()
        ids = layout.ids[kept].tolist()
        document = {
            "method": layout.method,
            "ready": ready,
            "missing": _missing(layout, alive),
            "ids": ids,
            "x": [round(x, 4) for x in layout.places[kept, 0].tolist()],
            "y": [round(y, 4) for y in layout.places[kept, 1].tolist()],
            "label": [labels.get(one) for one in ids],
            "cluster": layout.cluster[kept].tolist(),
        }
        return json.dumps(document, separators=(",", ":")).encode()


def _missing(layout: Layout, alive: np.ndarray) -> int:
    return int((~np.isin(alive, layout.ids)).sum())
