"""Sound files of every kind into windows: soxr, scipy and transformers are the oracles; what is wrong is told in words."""

from __future__ import annotations

import io
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("soundfile", reason="reads sounds (extra sound)")
import soundfile
import soxr
from scipy.signal import resample_poly

from featurelens.errors import InvalidInput, SoundError
from featurelens.sounds.decode import MARGIN, about, open_sound, stretch
from featurelens.sounds.formats import sniff, why_not
from featurelens.sounds.picture import spectrogram
from featurelens.sounds.reader import SoundReader
from featurelens.sounds.windows import Windows
from fixtures.made_sounds import RATE, sound, tone

READER = SoundReader(Windows(RATE))
FORMATS = {
    "WAV": ("WAV", "PCM_16"), "FLAC": ("FLAC", "PCM_24"), "Ogg Vorbis": ("OGG", "VORBIS"), "Ogg Opus": ("OGG", "OPUS"),
    "MP3": ("MP3", "MPEG_LAYER_III"), "AIFF": ("AIFF", "PCM_16"), "AU": ("AU", "PCM_16"), "CAF": ("CAF", "PCM_16"),
}  # fmt: skip


def encoded(samples: np.ndarray, rate: int = RATE, kind: str = "WAV", coding: str = "PCM_16") -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=kind, subtype=coding)
    return file.getvalue()


def windows_of(source, reader: SoundReader = READER) -> list[np.ndarray]:
    return list(reader.read(source).parts)


def refusal(data: bytes) -> str:
    with pytest.raises(SoundError) as caught:
        windows_of(data)
    return caught.value.reason


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_known_by_its_content_and_gives_the_same_sound(name: str) -> None:
    samples = sound("chirp", 0, seconds=2.0)
    data = encoded(samples, RATE, *FORMATS[name])
    assert sniff(data[:256]) == name
    item = READER.read(data)
    assert item.format == name
    (window,) = item.parts
    assert window.shape == (480_000,)
    heard = window[: len(samples)]
    assert np.corrcoef(heard, samples)[0, 1] > (0.97 if name in ("MP3", "Ogg Vorbis", "Ogg Opus") else 0.9999)


@pytest.mark.parametrize("coding", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW"])
def test_every_depth_of_wav(coding: str) -> None:
    samples = tone(1.0)
    heard = windows_of(encoded(samples, coding=coding))[0][: len(samples)]
    np.testing.assert_allclose(heard, samples, atol=0.02 if coding in ("PCM_U8", "ULAW") else 1e-4)


def test_channels_are_averaged() -> None:
    left, right = tone(1.0), tone(1.0, pitch=660)
    many = np.stack([left, right, np.zeros_like(left)], 1)
    heard = windows_of(encoded(many, coding="FLOAT"))[0][: len(left)]
    np.testing.assert_allclose(heard, (left + right) / 3, atol=1e-6)


@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 44_100, 96_000, 192_000])
def test_resampling_is_soxrs_and_near_scipys(rate: int) -> None:
    samples = sound("chirp", 1, seconds=3.0, rate=rate)
    heard = windows_of(encoded(samples, rate, coding="FLOAT"))[0]
    whole = soxr.resample(samples, rate, RATE, quality="HQ")
    np.testing.assert_allclose(heard[: len(whole)], whole[: len(heard)], atol=1e-5)
    common = np.gcd(rate, RATE)
    other = resample_poly(samples.astype(np.float64), RATE // common, rate // common)
    inner = slice(2_000, min(len(whole), len(other)) - 2_000)
    assert np.corrcoef(whole[inner], other[inner])[0, 1] > 0.999


@pytest.mark.parametrize("rate", [44_100, 48_000, 11_025])
def test_windows_of_a_long_sound_are_parts_of_the_whole_resampled_sound(rate: int) -> None:
    samples = sound("chirp", 2, seconds=27.0, rate=rate)
    parts = windows_of(encoded(samples, rate, coding="FLOAT"))
    whole = soxr.resample(samples, rate, RATE, quality="HQ")
    assert len(parts) == 3
    for part, start in zip(parts, (0.0, 8.5, 17.0), strict=True):
        first = int(start * RATE)
        places = range(max(0, first - 640), first + 1)  # a start falls on a sample of both rates
        best = min(float(np.abs(part[:9000] - whole[at : at + 9000]).max()) for at in places)
        assert best < 1e-4, (rate, start, best)


def test_without_its_margin_a_stretch_would_not_be_the_whole_sounds() -> None:
    """The sabotage of the test above: the filter rings where a stretch begins without what was before it."""
    rate, samples = 44_100, sound("tone", 0, seconds=20.0, rate=44_100)
    whole = soxr.resample(samples, rate, RATE, quality="HQ")
    cut = soxr.resample(samples[rate * 5 :], rate, RATE, quality="HQ")
    assert MARGIN > 0
    assert np.abs(cut[:50] - whole[RATE * 5 : RATE * 5 + 50]).max() > 1e-3


def test_short_sounds_are_filled_as_transformers_fills_them() -> None:
    from transformers import ClapFeatureExtractor

    samples = sound("bell", 0, seconds=3.3)
    for fill in ("repeatpad", "repeat", "pad"):
        hearing = ClapFeatureExtractor(truncation="rand_trunc", padding=fill)
        ours = SoundReader(Windows(RATE, fill=fill)).read(samples)
        wanted = hearing(samples, sampling_rate=RATE)["input_features"]
        found = hearing(next(iter(ours.parts)), sampling_rate=RATE)["input_features"]
        np.testing.assert_allclose(found, wanted, atol=1e-4)


def test_the_windows_of_a_long_sound_are_bounded_and_reach_its_end() -> None:
    rules = Windows(RATE)
    assert rules.starts(10.0) == [0.0]
    assert rules.starts(10.5) == [0.0, 0.5]
    hours = rules.starts(36_000.0)
    assert len(hours) == 60
    assert hours[-1] == 35_990.0
    with pytest.raises(InvalidInput, match="are not possible"):
        Windows(RATE, seconds=-1.0)
    with pytest.raises(InvalidInput, match="expected rate, seconds, most and fill"):
        Windows.of({"rate": 3})


def hours_of_wav(path: Path, hours: float, rate: int = 8_000) -> None:
    """A recording of silence with clicks as a sparse file: it takes no room on the disk."""
    size = int(hours * 3600) * rate
    head = struct.pack(
        "<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + size, b"WAVE", b"fmt ", 16, 1, 1, rate, rate, 1, 8, b"data", size
    )
    with path.open("wb") as file:
        file.write(head)
        file.truncate(len(head) + size)


def test_ten_hours_take_no_more_memory_than_a_minute(tmp_path: Path) -> None:
    file = tmp_path / "night.wav"
    hours_of_wav(file, 10)
    assert about(file).seconds == 36_000
    tracemalloc.start()
    count = sum(1 for _ in READER.read(file).parts)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 60
    assert peak < 30_000_000, f"{peak:,} bytes"
    assert spectrogram(file, side=64).size == (64, 40)


def test_hostile_files_are_refused_in_plain_words(tmp_path: Path) -> None:
    good = encoded(tone(1.0))
    flac, vorbis = (encoded(tone(1.0), RATE, *FORMATS[one]) for one in ("FLAC", "Ogg Vorbis"))
    mp3 = encoded(tone(3.0), RATE, *FORMATS["MP3"])
    assert refusal(b"") == "empty file"
    assert refusal(good[: len(good) // 2]) == "the WAV file is damaged or cut short: its data end too early"
    assert "damaged or cut short" in refusal(flac[: len(flac) // 2])
    assert "damaged or cut short" in refusal(mp3[: len(mp3) // 2])
    assert "damaged or cut short" in refusal(vorbis[:60])
    assert refusal(encoded(np.zeros(0, np.float32))) == "the sound holds no samples"
    assert "no numbers (NaN or infinite)" in refusal(
        encoded(np.full(100, np.nan, np.float32), coding="FLOAT")
    )
    assert "no numbers" in refusal(encoded(np.full(100, np.inf, np.float32), coding="FLOAT"))
    assert refusal(b"GIF89a" + bytes(50)) == "not a sound: a GIF picture"
    assert refusal(b"%PDF-1.7 ...") == "not a sound: a PDF document; export its pages as PNG or JPEG"
    assert "ffmpeg" in refusal(b"\0\0\0\x20ftypM4A \0\0\0\0")
    assert "AVI" in refusal(b"RIFF\0\0\0\0AVI LIST")
    assert refusal(b"shopping list: milk") == "not a sound: looks like text"
    fast = bytearray(good)
    fast[24:28] = struct.pack("<I", 3_000_000)
    assert "sample rate" in refusal(bytes(fast))
    for noise in range(20):
        data = bytearray(good[:4000])
        random = np.random.default_rng(noise)
        for at in random.integers(0, 60, 4):
            data[at] = int(random.integers(0, 256))
        try:
            found = windows_of(bytes(data))
        except SoundError:
            continue
        assert all(np.isfinite(one).all() for one in found)
    with pytest.raises(SoundError, match="there is no such file"):
        about(tmp_path / "none.wav")


def test_a_recorder_that_could_not_go_back_to_the_header_is_read() -> None:
    data = bytearray(encoded(tone(1.0)))
    data[40:44] = struct.pack("<I", 0xFFFFFFFF)
    assert len(windows_of(bytes(data))) == 1


def test_a_stretch_that_ends_early_is_told() -> None:
    data = encoded(tone(3.0), RATE, *FORMATS["MP3"])
    with (
        pytest.raises(SoundError, match=r"its data end after \d"),
        open_sound(data[: len(data) // 2]) as (file, found),
    ):
        stretch(file, found, start=0.0, seconds=3.0, rate=RATE)


def test_arrays_are_sounds_too() -> None:
    samples = sound("noise", 0, seconds=12.0)
    assert len(windows_of(samples)) == 2
    assert len(windows_of(np.stack([samples, samples], 1))) == 2
    for wrong in (np.zeros(3, np.int16), np.zeros((2, 2, 2)), np.zeros(0, np.float32), 7):
        with pytest.raises(InvalidInput, match="sound"):
            windows_of(wrong)


def test_the_first_bytes_tell() -> None:
    assert sniff(b"ID3\x04") == "MP3"
    assert sniff(b"\xff\xfb\x94\xc4") == "MP3"
    assert sniff(b"\xff\xf1\x50\x80") is None
    assert sniff(b"\xff\xd8\xff\xe0") is None
    assert "AAC" in why_not(b"\xff\xf1\x50\x80")
    assert "MIDI" in why_not(b"MThd\0\0\0\6")


def test_the_picture_shows_pitch_upwards_and_time_to_the_right() -> None:
    low, high = tone(1.0, pitch=300, rate=32_000), tone(1.0, pitch=6_000, rate=32_000)
    grey = np.asarray(spectrogram(np.concatenate([low, high]), side=128).convert("L"), np.float32)
    assert grey.shape == (80, 128)
    left, right = (part.mean(1).argmax() for part in (grey[:, 5:55], grey[:, 75:120]))
    assert left > right  # rows count downwards
    silent = np.asarray(spectrogram(np.zeros(32_000, np.float32), side=64))
    assert np.ptp(silent.reshape(-1, 3), axis=0).max() == 0


def test_an_array_has_the_picture_of_a_file_with_the_same_samples() -> None:
    """The array's rate is that of the windows, not that of the picture."""
    rising = np.concatenate([tone(1.0, pitch=300), tone(1.0, pitch=6_000)])
    both = np.stack([rising, rising], 1)
    wanted = np.asarray(READER.picture(encoded(rising, coding="FLOAT"), 128), np.int16)
    for samples in (rising, both):
        assert np.abs(np.asarray(READER.picture(samples, 128), np.int16) - wanted).max() <= 2
    with pytest.raises(InvalidInput, match="expected floats"):
        READER.picture(np.zeros(3, np.int16), 64)
    with pytest.raises(SoundError, match="no numbers"):
        READER.picture(np.full(3, np.nan), 64)
