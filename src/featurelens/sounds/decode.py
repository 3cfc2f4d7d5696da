"""Sound files through libsndfile (soundfile): what their header says, and stretches of them at another sample rate."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np

from featurelens.errors import ImageError, MissingExtra, SoundError
from featurelens.images.reading import opened
from featurelens.shapes import Float32
from featurelens.sounds.formats import sniff, why_not

RATES = 100, 2_000_000
MARGIN = 0.05  # seconds on each side of a stretch, for the filter of the resampling
_MOST = 1 << 29  # bytes of a stretch at the file's own rate
_DECLARED = re.compile(r"^\s*(?:data|SSND|Data Size)\s*:\s*(\d+) \(should be (\d+)\)", re.MULTILINE)
_ENDLESS = (0, 0x7FFFFFFF, 0xFFFFFFFF)  # sizes that recorders write who cannot go back to the header


@dataclass(frozen=True)
class About:
    """A sound file by its header: samples a second, samples in each channel, channels, and its format."""

    rate: int
    frames: int
    channels: int
    format: str

    @property
    def seconds(self) -> float:
        """How long it is."""
        return self.frames / self.rate


def about(source: Any) -> About:
    """What the header of a path or of the bytes of a file says; SoundError where it is no sound or holds none."""
    with open_sound(source) as (_, found):
        return found


@contextmanager
def open_sound(source: Any) -> Iterator[tuple[Any, About]]:
    """A file as soundfile's SoundFile, judged by its header; every failure inside becomes a SoundError."""
    soundfile = _library()
    try:
        with _stream(source) as file:
            head = file.read(256)
            name = sniff(head)
            if name is None:
                raise SoundError(why_not(head))
            file.seek(0)
            with soundfile.SoundFile(file) as sound:
                yield sound, _judged(sound, name)
    except ImageError as error:  # of opening the file
        raise SoundError(error.reason) from error
    except soundfile.LibsndfileError as error:
        raise SoundError(_reason(str(error.error_string))) from error
    except (OSError, RuntimeError, ValueError, TypeError, MemoryError) as error:
        raise SoundError("the sound file is damaged: it cannot be decoded") from error


def stretch(
    sound: Any, found: About, *, start: float, seconds: float, rate: int
) -> Float32[np.ndarray, " sample"]:
    """`seconds` of an open file from `start` on at `rate`: its channels' mean, resampled by soxr.

    Ends with the file. SoundError for data that end early, or values that are no numbers.
    """
    step = found.rate // math.gcd(found.rate, rate)  # whole steps fall on whole samples of both rates
    first = math.floor(start * found.rate / step) * step
    before = min(first, math.ceil(MARGIN * found.rate / step) * step)
    last = min(found.frames, first + math.ceil((seconds + MARGIN) * found.rate))
    sound.seek(first - before)
    count = last - first + before
    samples = sound.read(count, dtype="float32", always_2d=True)
    if len(samples) < count:
        raise SoundError(
            f"the {found.format} file is damaged or cut short: its data end after "
            f"{(first - before + len(samples)) / found.rate:.1f} of {found.seconds:.1f} s"
        )
    mixed = samples.mean(1, dtype=np.float32) if samples.shape[1] > 1 else samples[:, 0]
    if not np.isfinite(mixed).all():
        raise SoundError("the sound holds values that are no numbers (NaN or infinite)")
    skipped = before * rate // found.rate
    return resampled(mixed, found.rate, rate)[skipped : skipped + round(seconds * rate)]


def resampled(sound: Float32[np.ndarray, " sample"], old: int, new: int) -> Float32[np.ndarray, " _"]:
    """The sound at another sample rate, by soxr in its high quality (what librosa and so CLAP's own loaders take)."""
    if old == new:
        return np.ascontiguousarray(sound)
    try:
        soxr = import_module("soxr")
    except ImportError as error:
        raise MissingExtra("soxr", "sound", "Reading sounds") from error
    return soxr.resample(sound, old, new, quality="HQ")


def _judged(sound: Any, name: str) -> About:
    found = About(sound.samplerate, sound.frames, sound.channels, name)
    low, high = RATES
    if not low <= found.rate <= high:
        raise SoundError(f"its sample rate is {found.rate:,} Hz; {low} to {high:,} Hz are read")
    if found.frames < 1:
        cut = ", or it is cut short" if name.startswith("Ogg") else ""
        raise SoundError(f"the sound holds no samples{cut}")
    if found.frames >= 1 << 62:
        raise SoundError(f"the {name} file is damaged or cut short: its length can't be told")
    declared = _DECLARED.search(sound.extra_info)
    if declared and int(declared[1]) not in _ENDLESS and int(declared[2]) < int(declared[1]):
        raise SoundError(f"the {name} file is damaged or cut short: its data end too early")
    if found.rate * found.channels * 4 * 12 > _MOST:
        raise SoundError(
            f"{found.channels} channels of {found.rate:,} samples a second are more than is read at a time"
        )
    return found


@contextmanager
def _stream(source: Any) -> Iterator[Any]:
    if isinstance(source, bytes):
        yield io.BytesIO(source)
    else:
        with opened(source) as (file, _):
            yield file


def _library() -> Any:
    try:
        return import_module("soundfile")
    except (ImportError, OSError) as error:  # OSError: libsndfile itself is not there
        raise MissingExtra("soundfile", "sound", "Reading sounds") from error


def _reason(text: str) -> str:
    low = text.lower()
    if "unknown format" in low or "unimplemented" in low or "unsupported" in low or "not implement" in low:
        return f"a variant of its format that is not read ({text.strip('. ')})"
    return f"the sound file is damaged or cut short: {text.removeprefix('Error : ').strip('. ')}"
