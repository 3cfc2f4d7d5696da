"""The pictures that maximization makes, with how they were made and how well."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from featurelens.see.render import save, sheet
from featurelens.see.render.inline import as_html
from featurelens.shapes import Float32, UInt8


@dataclass(frozen=True, eq=False)
class Picture:
    """One synthetic picture: what it was made for, RGB pixels, and how much each place mattered (0 … 1).

    `activation` is the objective's score of these very pixels, `natural` that of the best natural image.
    `alive` is False where no start of `attempts` ever got a gradient: nothing shown here moves the unit.
    """

    name: str
    pixels: UInt8[np.ndarray, "row col 3"]
    importance: Float32[np.ndarray, "row col"]
    activation: float
    natural: float | None
    alive: bool
    attempts: int
    copy: int = 0

    @property
    def ratio(self) -> float | None:
        """Activation over that of the best natural image; None without one that activates."""
        if self.natural is None or self.natural <= 0:
            return None
        return self.activation / self.natural

    @property
    def rgba(self) -> UInt8[np.ndarray, "row col 4"]:
        """The pixels, transparent where they did not matter."""
        alpha = np.rint(self.importance * 255).astype(np.uint8)
        return np.concatenate([self.pixels, alpha[..., None]], axis=2)

    def over(self, shade: int = 255) -> UInt8[np.ndarray, "row col 3"]:
        """The picture laid on a plain ground, which shows where it did not matter."""
        alpha = self.importance[..., None]
        return np.rint(self.pixels * alpha + shade * (1 - alpha)).astype(np.uint8)

    def _repr_html_(self) -> str:
        return as_html(self.pixels, self.name)


@dataclass(frozen=True, eq=False)
class Maximized:
    """All pictures of one call, in the order of their objectives, and the settings that made them.

    `skipped` lists the images to compare with that could not be read, with the reason.
    """

    pictures: tuple[Picture, ...]
    how: Mapping[str, Any]
    skipped: tuple[tuple[str, str], ...] = ()

    def __len__(self) -> int:
        return len(self.pictures)

    def __iter__(self) -> Iterator[Picture]:
        return iter(self.pictures)

    def __getitem__(self, number: int) -> Picture:
        return self.pictures[number]

    def sheet(
        self, *, columns: int | None = None, transparent: bool = False
    ) -> UInt8[np.ndarray, "row col 3"]:
        """All pictures with captions; `transparent` fades what did not matter to white."""
        tiles = [one.over() if transparent else one.pixels for one in self.pictures]
        return sheet(tiles, captions=self.captions(), columns=columns)

    def captions(self) -> list[str]:
        """For each picture its name, numbered where several bear it, and how it compares in few words."""
        bearers = Counter(one.name for one in self)
        found = []
        for one in self:
            name = one.name if bearers[one.name] == 1 else f"{one.name} ({one.copy + 1})"
            if not one.alive:
                name += "\nno response"
            elif one.ratio is not None:
                name += f"\n{one.ratio:.1f} x best image"
            found.append(name)
        return found

    def figures(self) -> list[dict[str, Any]]:
        """What is known of each picture, without its pixels."""
        hidden = ("pixels", "importance")
        return [
            {k: v for k, v in asdict(one).items() if k not in hidden} | {"ratio": one.ratio}
            for one in self.pictures
        ]

    def save(self, file: Path, *, columns: int | None = None, transparent: bool = False) -> list[Path]:
        """Write the sheet (.png; a single picture as itself), an .npz of all arrays, and a .json of how."""
        if len(self) == 1:
            picture = self[0].rgba if transparent else self[0].pixels
        else:
            picture = self.sheet(columns=columns, transparent=transparent)
        arrays = {
            "pixels": np.stack([one.pixels for one in self.pictures]),
            "importance": np.stack([one.importance for one in self.pictures]),
        }
        how = {**self.how, "skipped": list(self.skipped), "pictures": self.figures()}
        return save(file, picture, how=how, arrays=arrays)

    def _repr_html_(self) -> str:
        return as_html(self.sheet(), "pictures")
