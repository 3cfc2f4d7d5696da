"""A sound as a picture: its log-mel spectrogram, by transformers' own signal processing."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from featurelens.errors import MissingExtra, SoundError
from featurelens.shapes import Float32, UInt8
from featurelens.sounds.decode import open_sound, stretch

RATE, BANDS, WINDOW, HOP = 32_000, 96, 1024, 320
_WHOLE = 60.0  # seconds; of a longer sound so many pieces are drawn side by side
_PIECES, _RANGE = 240, 70.0  # decibels below the loudest that are still seen
_COLOURS = ("#0b0a1f", "#a8327d", "#fdf3c4")


def spectrogram(source: Any, *, side: int) -> Image.Image:
    """A path, the bytes of a file or an array at RATE: time to the right, pitch (mel scale) upwards, `side` wide.

    Of a sound of more than a minute 240 pieces of a tenth of a second, evenly spread. SoundError, MissingExtra.
    """
    if isinstance(source, np.ndarray):
        levels = _levels(source.astype(np.float32))
    else:
        with open_sound(source) as (sound, found):
            if found.seconds <= _WHOLE:
                levels = _levels(stretch(sound, found, start=0.0, seconds=found.seconds, rate=RATE))
            else:
                starts = np.linspace(0, found.seconds - 0.1, _PIECES)
                parts = [stretch(sound, found, start=s, seconds=0.1, rate=RATE) for s in starts]
                levels = np.stack([_levels(part).mean(1) for part in parts], 1)
    grey = Image.fromarray(_shades(levels)).resize((side, max(1, side * 5 // 8)), Image.Resampling.BILINEAR)
    low, middle, high = _COLOURS
    return ImageOps.colorize(grey, low, high, mid=middle, midpoint=128)


def _levels(sound: Float32[np.ndarray, " sample"]) -> Float32[np.ndarray, "band frame"]:
    """Power in each mel band and frame."""
    try:
        audio = import_module("transformers.audio_utils")
    except ImportError as error:
        raise MissingExtra("transformers", "sound", "A picture of a sound") from error
    if len(sound) < 1:
        raise SoundError("the sound holds no samples")
    filters = audio.mel_filter_bank(
        num_frequency_bins=WINDOW // 2 + 1, num_mel_filters=BANDS, min_frequency=50.0, max_frequency=RATE / 2,
        sampling_rate=RATE, norm="slaney", mel_scale="slaney",
    )  # fmt: skip
    return audio.spectrogram(
        np.pad(sound, (0, max(0, WINDOW - len(sound)))), audio.window_function(WINDOW, "hann"), WINDOW, HOP,
        power=2.0, mel_filters=filters,
    ).astype(np.float32)  # fmt: skip


def _shades(power: Float32[np.ndarray, "band frame"]) -> UInt8[np.ndarray, "band frame"]:
    """Decibels below the loudest as grey, the highest band on top; silence is black."""
    loudest = float(power.max())
    if loudest <= 1e-10:
        return np.zeros(power.shape, np.uint8)
    decibels = 10 * np.log10(np.maximum(power / loudest, 1e-12))
    shades = np.clip(1 + decibels / _RANGE, 0, 1) * 255
    return np.ascontiguousarray(shades[::-1].astype(np.uint8))
