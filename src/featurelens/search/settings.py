"""What a gallery is fixed to: its images folder, its backbone, how it decodes."""

from __future__ import annotations

import json
import os
import sqlite3
import uuid
from dataclasses import dataclass, replace
from pathlib import Path

from featurelens.backbone.protocol import Spec
from featurelens.backbone.request import Precision
from featurelens.errors import InvalidInput, SpecMismatch
from featurelens.search.failures import damaged


@dataclass(frozen=True)
class Settings:
    """Read once at opening; `epoch` changes when caches made before must not be trusted any more."""

    images: Path
    spec: Spec
    exact: bool
    max_pixels: int
    epoch: str

    def moved(self, images: Path) -> Settings:
        """The same for a folder of images that lies elsewhere now; InvalidInput if nothing is there."""
        if not images.is_dir():
            raise InvalidInput(f"There is no folder {images}. Give the folder where the images lie now.")
        return replace(self, images=images)

    def check(self, spec: Spec) -> None:
        """SpecMismatch, naming both backbones, unless `spec` gives the vectors that the gallery holds."""
        if spec.fingerprint == self.spec.fingerprint:
            return
        if replace(spec, precision=self.spec.precision).fingerprint == self.spec.fingerprint:
            raise SpecMismatch(
                f"This gallery holds vectors that '{self.spec.name}' computed in {self.spec.precision}; here it computes "
                f"in {spec.precision}, and their vectors are not quite the same. {self._advice()}"
            )
        ours, theirs = (f"'{s.name}' ({s.fingerprint})" for s in (self.spec, spec))
        if spec.name == self.spec.name:
            raise SpecMismatch(
                f"This gallery holds vectors of {ours}, but what has that name now is {theirs}: its weights or its "
                "preprocessing have changed. Their vectors cannot be compared: use the version that made the "
                "gallery, or delete the gallery folder and index again."
            )
        raise SpecMismatch(
            f"This gallery holds vectors of {ours}, but the backbone given is {theirs}. Their vectors cannot be "
            f"compared: open it without a backbone or with '{self.spec.name}', or index with '{spec.name}' into "
            "another folder with at=DIR."
        )

    @property
    def precision(self) -> Precision:
        """In what the gallery's network is to compute where there is a choice (on CUDA)."""
        return "fp32" if self.spec.precision == "fp32" else "auto"

    def _advice(self) -> str:
        if self.spec.precision == "bf16":
            return (
                "Open it on a machine with CUDA; or index with device='cpu' into another gallery, which every machine can "
                "search."
            )
        return f"Open it without a backbone, so that '{self.spec.name}' is loaded as it was, or index into another gallery."


def write_settings(connection: sqlite3.Connection, folder: Path, settings: Settings) -> None:
    """Store all of them; the images folder relative to the gallery if it holds it, so that both can move."""
    images, own = settings.images.absolute(), folder.absolute()
    inside = images in own.parents
    place = os.path.relpath(images, own) if inside else images
    values = {
        "images": os.fsencode(place),
        "spec": json.dumps(settings.spec.to_json()).encode(),
        "exact": b"1" if settings.exact else b"0",
        "max_pixels": str(settings.max_pixels).encode(),
        "epoch": settings.epoch.encode(),
    }
    connection.executemany("INSERT OR REPLACE INTO settings VALUES (?, ?)", values.items())


def read_settings(connection: sqlite3.Connection, folder: Path) -> Settings:
    """Read all of them; GalleryError if one is missing or cannot be understood."""
    values = dict(connection.execute("SELECT key, value FROM settings"))
    try:
        images = Path(os.path.normpath(folder.absolute() / os.fsdecode(values["images"])))
        spec = Spec.from_json(json.loads(values["spec"]))
        return Settings(
            images, spec, values["exact"] == b"1", int(values["max_pixels"]), values["epoch"].decode()
        )
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise damaged(folder, f"its settings cannot be read: {error!r}") from error


def new_epoch() -> str:
    """A name that no other state of any gallery has."""
    return uuid.uuid4().hex
