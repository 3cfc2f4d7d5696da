"""Where the windows of a sound lie, and filling up one that is shorter than a window."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, cast, get_args

import numpy as np

from featurelens.errors import InvalidInput
from featurelens.shapes import Float32

Fill = Literal["repeatpad", "repeat", "pad"]


@dataclass(frozen=True)
class Windows:
    """How a sound of any length becomes windows: `seconds` each at `rate` samples a second, at most `most` of them.

    A shorter sound is repeated as often as it fits whole and then filled with zeros ("repeatpad"), repeated to the end
    ("repeat"), or filled with zeros at once ("pad"): CLAP's three ways by their names in transformers. A
    longer one gets as many windows as cover it, evenly spread (so they may overlap a little); more than `most` are spread
    with gaps. InvalidInput for rules that are none.
    """

    rate: int
    seconds: float = 10.0
    most: int = 60
    fill: Fill = "repeatpad"

    def __post_init__(self) -> None:
        if not (100 <= self.rate <= 1_000_000 and 0 < self.seconds <= 600 and self.most >= 1):
            raise InvalidInput(
                f"Windows of {self.seconds} s at {self.rate} samples a second, {self.most} at most, are not possible; "
                "expected 100 to 1,000,000 samples a second, up to 600 s, one window or more."
            )
        if self.fill not in get_args(Fill):
            raise InvalidInput(f"fill='{self.fill}' is not one of {', '.join(get_args(Fill))}.")

    @classmethod
    def of(cls, rules: object) -> Windows:
        """From the `reading` of a Spec."""
        try:
            given = dict(cast(dict[str, object], rules))
            return cls(
                int(cast(int, given["rate"])), float(cast(float, given["seconds"])),
                int(cast(int, given["most"])), cast(Fill, given["fill"]),
            )  # fmt: skip
        except (TypeError, ValueError, KeyError) as error:
            raise InvalidInput(
                f"The rules for reading sounds are {rules}; expected rate, seconds, most and fill."
            ) from error

    @property
    def samples(self) -> int:
        """Samples of a window."""
        return round(self.seconds * self.rate)

    def starts(self, length: float) -> list[float]:
        """The starts in seconds of the windows of a sound of `length` seconds.

        >>> Windows(48_000).starts(25.0), Windows(48_000).starts(3.0), len(Windows(48_000).starts(36_000.0))
        ([0.0, 7.5, 15.0], [0.0], 60)
        """
        count = min(self.most, max(1, math.ceil(length / self.seconds - 1e-6)))
        if count == 1:
            return [0.0] if length <= self.seconds else [(length - self.seconds) / 2]
        return np.linspace(0.0, length - self.seconds, count).tolist()

    def filled(self, sound: Float32[np.ndarray, " sample"]) -> Float32[np.ndarray, " window"]:
        """A sound of at most a window's length, made as long as one."""
        if self.fill != "pad":
            times = self.samples // len(sound) + (self.fill == "repeat")
            sound = np.tile(sound, max(1, times))
        return np.pad(sound[: self.samples], (0, max(0, self.samples - len(sound))))
