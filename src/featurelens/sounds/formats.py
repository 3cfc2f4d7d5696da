"""Which sound formats are read, told from the first bytes; the ending of a file name counts for nothing."""

from __future__ import annotations

from featurelens.images import formats as pictures
from featurelens.images.kinds import why_not as why_no_picture

_CONVERT = "convert it, e.g. with: ffmpeg -i FILE NEW.flac"
_OGG = {b"\x01vorbis": "Ogg Vorbis", b"OpusHead": "Ogg Opus", b"\x7fFLAC": "Ogg FLAC", b"Speex": "Ogg Speex"}
_PREFIXES = {b"fLaC": "FLAC", b"ID3": "MP3", b"caff": "CAF", b".snd": "AU"}
_VIDEO = ((b"\x80theora", "an Ogg video"), (b"\x1aE\xdf\xa3", "a video (Matroska or WebM)"))


def sniff(head: bytes) -> str | None:
    """The format's name from a file's first bytes, or None for one that is not read.

    >>> sniff(b"RIFF\\0\\0\\0\\0WAVEfmt "), sniff(b"GIF89a")
    ('WAV', None)
    """
    if head[:4] in (b"RIFF", b"RIFX", b"RF64") and head[8:12] == b"WAVE":
        return "WAV"
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return "AIFF"
    if head[:4] == b"OggS":
        return next((name for mark, name in _OGG.items() if mark in head[:128]), None)
    for prefix, name in _PREFIXES.items():
        if head.startswith(prefix):
            return name
    return "MP3" if _is_mp3(head) else None


def why_not(head: bytes) -> str:
    """Why a file with these first bytes, which `sniff` does not know, is not read.

    >>> why_not(b"GIF89a")
    'not a sound: a GIF picture'
    """
    if not head:
        return "empty file"
    for mark, what in _VIDEO:
        if head.startswith(mark) or (head[:4] == b"OggS" and mark in head[:128]):
            return f"not a sound: {what}; take the sound out of it, e.g. with: ffmpeg -i FILE -vn NEW.flac"
    if pictures.brands(head) and pictures.sniff(head) is None:
        return f"MP4, M4A and QuickTime are not read; {_CONVERT}"
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return "not a sound: a video (AVI); take the sound out of it, e.g. with: ffmpeg -i FILE -vn NEW.flac"
    if head[:2] in (b"\xff\xf1", b"\xff\xf9"):
        return f"AAC is not read; {_CONVERT}"
    if head.startswith(b"0&\xb2u"):
        return f"WMA is not read; {_CONVERT}"
    if head.startswith(b"MThd"):
        return "MIDI holds notes, not a sound; play it into a WAV file first"
    if head[:4] == b"OggS":
        return f"a kind of Ogg that is not read; {_CONVERT}"
    if (name := pictures.sniff(head)) is not None:
        return f"not a sound: a {pictures.FORMATS[name].label} picture"
    told = why_no_picture(head)
    if told.startswith("not an image: "):
        return f"not a sound: {told.removeprefix('not an image: ')}"
    return "not a sound of a known format"


def _is_mp3(head: bytes) -> bool:
    """A frame's header without reserved values: MPEG 1, 2 or 2.5, layer III (or II), a bit rate, a sample rate."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return False
    version, layer = head[1] >> 3 & 3, head[1] >> 1 & 3
    return version != 1 and layer in (1, 2) and head[2] >> 4 not in (0, 15) and head[2] >> 2 & 3 != 3
