"""The reader of sounds: windows of samples, one after another, however long the file is."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np
from PIL import Image

from featurelens.errors import InvalidInput, SoundError
from featurelens.images.item import Item
from featurelens.shapes import Float32
from featurelens.sounds import decode, formats
from featurelens.sounds.windows import Windows


@runtime_checkable
class _Ruled(Protocol):
    @property
    def reading(self) -> Mapping[str, Any]: ...


def make(spec: _Ruled) -> SoundReader:
    """The reader for a backbone's Spec, whose `reading` holds rate, seconds, most and fill."""
    return SoundReader(Windows.of(spec.reading))


class SoundReader:
    """Gives the windows of a sound: float32, one channel (the mean of all), between -1 and 1 for what is in range.

    Sounds are paths, the bytes of a file, or float arrays [sample] or [sample, channel] at the windows' own rate.
    """

    piecewise = True
    dtype = np.dtype(np.float32)

    def __init__(self, windows: Windows) -> None:
        self.windows = windows
        self.shape = (windows.samples,)

    def sniff(self, head: bytes) -> str | None:
        """The format that these first bytes tell, or None."""
        return formats.sniff(head)

    def why_not(self, head: bytes) -> str:
        """Why a file that begins like this is not read."""
        return formats.why_not(head)

    def read(self, source: Any) -> Item:
        """The windows of a sound, read when they are asked for; SoundError, InvalidInput for what is no sound."""
        if isinstance(source, np.ndarray):
            return Item(tuple(self._of_array(source)), format="array")
        if not isinstance(source, str | os.PathLike | bytes):
            raise InvalidInput(
                f"A sound is a path, the bytes of a file or a float array [sample] at {self.windows.rate:,} Hz, not "
                f"{type(source).__name__}."
            )
        return Item(_Parts(source, self.windows), format=decode.about(source).format)

    def picture(self, source: Any, side: int) -> Image.Image:
        """The log-mel spectrogram of the whole sound: time to the right, pitch upwards."""
        from featurelens.sounds.picture import RATE, spectrogram

        if isinstance(source, np.ndarray):
            source = decode.resampled(self._mixed(source), self.windows.rate, RATE)
        return spectrogram(source, side=side)

    def _of_array(self, sound: np.ndarray) -> Iterator[Float32[np.ndarray, " window"]]:
        mixed = self._mixed(sound)
        for start in self.windows.starts(len(mixed) / self.windows.rate):
            first = int(start * self.windows.rate)
            yield self.windows.filled(mixed[first : first + self.windows.samples])

    def _mixed(self, sound: np.ndarray) -> Float32[np.ndarray, " sample"]:
        """One channel of an array; InvalidInput, SoundError for what is no sound."""
        if sound.dtype.kind != "f" or sound.ndim not in (1, 2) or not len(sound):
            raise InvalidInput(
                f"The sound is {sound.dtype} {list(sound.shape)}; expected floats [sample] or [sample, channel] at "
                f"{self.windows.rate:,} Hz, one sample or more."
            )
        mixed = sound.astype(np.float32) if sound.ndim == 1 else sound.mean(1, dtype=np.float32)
        if not np.isfinite(mixed).all():
            raise SoundError("the sound holds values that are no numbers (NaN or infinite)")
        return mixed


class _Parts:
    """The windows of a file; each pass opens it anew."""

    def __init__(self, source: Any, windows: Windows) -> None:
        self._source, self._windows = source, windows

    def __iter__(self) -> Iterator[Float32[np.ndarray, " window"]]:
        windows = self._windows
        with decode.open_sound(self._source) as (sound, found):
            for start in windows.starts(found.seconds):
                part = decode.stretch(sound, found, start=start, seconds=windows.seconds, rate=windows.rate)
                if len(part) == 0:
                    raise SoundError("the sound holds no samples")
                yield windows.filled(part)
