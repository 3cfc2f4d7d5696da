"""What a pass over images has found so far, on disk, so that a run that was stopped goes on."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from featurelens.features.sources import Source

_EVERY = 3.0  # seconds between two writes: what a kill can cost


class UnitStore:
    """One file in `folder`. `about` says what the pass is: another network, layer or list of images starts anew.

    A pass counts things of three kinds per layer (`kept`: layer → objects whose attributes are arrays and
    numbers); they are written whole, under a temporary name, and replaced.
    """

    def __init__(self, folder: Path, about: Mapping[str, Any], listed: Sequence[Source]) -> None:
        self._file = folder / "pass.npz"
        self._listed = listed
        whole = json.dumps([dict(about), [[source.id, source.stamp] for source in listed]], sort_keys=True)
        self._about = hashlib.blake2b(whole.encode(), digest_size=16).hexdigest()
        self._written = time.monotonic()

    def load(self, kept: Mapping[str, Sequence[object]]) -> tuple[int, list[Source], list[tuple[str, str]]]:
        """Fill `kept`; returns how many images are done, which of them could be read, and the others' reasons."""
        try:
            with np.load(self._file) as data:
                held = {name: data[name] for name in data.files}
            if str(held.pop("about")) != self._about:
                return 0, [], []
            seen, skipped = held.pop("seen"), json.loads(str(held.pop("skipped")))
        except (
            OSError,
            ValueError,
            KeyError,
            EOFError,
            BadZipFile,
        ):  # none yet, or torn by another programme
            return 0, [], []
        for layer, things in kept.items():
            for i, thing in enumerate(things):
                prefix = f"{layer}/{i}/"
                mine = {k.removeprefix(prefix): v for k, v in held.items() if k.startswith(prefix)}
                vars(thing).update({k: v.item() if v.ndim == 0 else v for k, v in mine.items()})
        read = [self._listed[i] for i in seen.tolist()]
        return len(read) + len(skipped), read, [(name, reason) for name, reason in skipped]

    def save(
        self,
        kept: Mapping[str, Sequence[object]],
        seen: Sequence[Source],
        skipped: Sequence[tuple[str, str]],
        *,
        at_once: bool = False,
    ) -> None:
        """Write what stands after a whole batch; not more often than every few seconds, unless `at_once`."""
        if not at_once and time.monotonic() - self._written < _EVERY:
            return
        at = {id(source): i for i, source in enumerate(self._listed)}
        arrays: dict[str, Any] = {
            "about": np.array(self._about),
            "seen": np.array([at[id(source)] for source in seen], np.int64),
            "skipped": np.array(json.dumps(list(skipped))),
        }
        arrays |= {
            f"{layer}/{i}/{name}": np.asarray(value)
            for layer, things in kept.items()
            for i, thing in enumerate(things)
            for name, value in vars(thing).items()
        }
        self._file.parent.mkdir(parents=True, exist_ok=True)
        handle, part = tempfile.mkstemp(dir=self._file.parent, prefix=".pass", suffix=".npz")
        try:
            with os.fdopen(handle, "wb") as file:
                np.savez(file, **arrays)
            os.chmod(part, 0o644)
            os.replace(part, self._file)
        except BaseException:
            Path(part).unlink(missing_ok=True)
            raise
        self._written = time.monotonic()
