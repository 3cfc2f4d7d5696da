"""Which image formats are read, told from the first bytes; the ending of a file name counts for nothing.

Read are the formats that people keep pictures in and whose decoders have stood up to hostile files. Formats
that run programs (PostScript), draw (SVG, WMF), or are rare and decoded by slow or little tested code
(Blizzard BLP, Autodesk FLI, FITS ...) are named in the reason but never opened: see `kinds.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

HEAD = 1024
"""How many first bytes `sniff` and `kinds.why_not` like to see."""


@dataclass(frozen=True)
class Format:
    """A format that is read: how people call it, Pillow's class for it, its own pixel limit (0: none).

    `bytes_per_pixel` is what decoding and converting takes at worst, measured on pictures of 100 megapixels.
    """

    label: str
    opener: str
    max_pixels: int = 0
    bytes_per_pixel: int = 12


FORMATS = {
    "JPEG": Format("JPEG", "PIL.JpegImagePlugin:JpegImageFile"),
    "PNG": Format("PNG", "PIL.PngImagePlugin:PngImageFile"),
    "WEBP": Format("WebP", "PIL.WebPImagePlugin:WebPImageFile", bytes_per_pixel=16),
    "GIF": Format("GIF", "PIL.GifImagePlugin:GifImageFile"),
    "BMP": Format("BMP", "PIL.BmpImagePlugin:BmpImageFile"),
    "TIFF": Format("TIFF", "PIL.TiffImagePlugin:TiffImageFile"),
    "AVIF": Format("AVIF", "PIL.AvifImagePlugin:AvifImageFile"),
    "HEIF": Format("HEIF", "pillow_heif.as_plugin:HeifImageFile"),
    "JPEG2000": Format("JPEG 2000", "PIL.Jpeg2KImagePlugin:Jpeg2KImageFile", 50_000_000, 25),
    "PPM": Format("PNM", "PIL.PpmImagePlugin:PpmImageFile"),
    "ICO": Format("ICO", "PIL.IcoImagePlugin:IcoImageFile"),
    "CUR": Format("CUR", "PIL.CurImagePlugin:CurImageFile"),
    "ICNS": Format("ICNS", "PIL.IcnsImagePlugin:IcnsImageFile"),
    "PSD": Format("Photoshop", "PIL.PsdImagePlugin:PsdImageFile"),
    "TGA": Format("TGA", "PIL.TgaImagePlugin:TgaImageFile"),
    "PCX": Format("PCX", "PIL.PcxImagePlugin:PcxImageFile"),
    "SGI": Format("SGI", "PIL.SgiImagePlugin:SgiImageFile"),
    "SUN": Format("Sun raster", "PIL.SunImagePlugin:SunImageFile"),
    "DDS": Format("DDS", "PIL.DdsImagePlugin:DdsImageFile"),
    "QOI": Format("QOI", "PIL.QoiImagePlugin:QoiImageFile"),
}

_PREFIXES = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
    (b"\xff\x4f\xff\x51", "JPEG2000"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG2000"),
    (b"icns", "ICNS"),
    (b"8BPS", "PSD"),
    (b"DDS ", "DDS"),
    (b"qoif", "QOI"),
    (b"\x01\xda", "SGI"),
    (b"\x59\xa6\x6a\x95", "SUN"),
)
_HEIF_BRANDS = {b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"hevm", b"hevs", b"mif1", b"msf1"}
_AVIF_BRANDS = {b"avif", b"avis"}


def sniff(head: bytes) -> str | None:
    """The format's name ("JPEG", "PNG", ... the keys of FORMATS) from a file's first bytes, or None.

    >>> sniff(b"GIF89a"), sniff(b"<html>")
    ('GIF', None)
    """
    for prefix, name in _PREFIXES:
        if head.startswith(prefix):
            return name
    for name, test in _TESTS:
        if test(head):
            return name
    return None


def brands(head: bytes) -> set[bytes]:
    """The brands that an ISO media file (AVIF, HEIF, MP4 ...) claims in its first box; empty for others."""
    if head[4:8] != b"ftyp":
        return set()
    end = min(int.from_bytes(head[:4], "big"), len(head))
    return {head[8:12], *(head[i : i + 4] for i in range(16, end - 3, 4))}


def _avif(head: bytes) -> bool:
    return bool(brands(head) & _AVIF_BRANDS)


def _heif(head: bytes) -> bool:
    found = brands(head)
    return bool(found & _HEIF_BRANDS) and not found & _AVIF_BRANDS


def _bmp(head: bytes) -> bool:
    return head.startswith(b"BM") and head[14:18] in {
        size.to_bytes(4, "little") for size in (12, 16, 40, 52, 56, 64, 108, 124)
    }


def _ico(head: bytes, kind: int = 1) -> bool:
    return head.startswith(bytes((0, 0, kind, 0))) and 0 < int.from_bytes(head[4:6], "little") <= 256


def _ppm(head: bytes) -> bool:
    next_word = head[2:].lstrip(b" \t\r\n")
    return (
        head[:1] == b"P"
        and head[1:2] in {b"1", b"2", b"3", b"4", b"5", b"6", b"F", b"f"}
        and head[2:3] in {b" ", b"\t", b"\r", b"\n", b"#"}
        and next_word[:1] in {b"#", *(b"%d" % digit for digit in range(10))}
    )


def _pcx(head: bytes) -> bool:
    return (
        len(head) > 3
        and head[0] == 10
        and head[1] in (0, 2, 3, 4, 5)
        and head[2] == 1
        and head[3] in (1, 2, 4, 8)
    )


def _tga(head: bytes) -> bool:
    """TGA has no mark; a colour map, kind, size and depth that fit together are as good as one."""
    if len(head) < 18 or head[1] > 1 or head[2] not in (1, 2, 3, 9, 10, 11):
        return False
    mapped, indexed = head[1] == 1, head[2] in (1, 9)
    if mapped != indexed or (not mapped and any(head[3:8])):
        return False
    if mapped and head[7] not in (15, 16, 24, 32):
        return False
    depths = (8,) if indexed else (1, 8, 16) if head[2] in (3, 11) else (15, 16, 24, 32)
    return head[16] in depths and any(head[12:14]) and any(head[14:16]) and head[17] & 0xC0 == 0


_TESTS: tuple[tuple[str, Callable[[bytes], bool]], ...] = (
    ("WEBP", lambda head: head[:4] == b"RIFF" and head[8:12] == b"WEBP"),
    ("AVIF", _avif),
    ("HEIF", _heif),
    ("BMP", _bmp),
    ("ICO", _ico),
    ("CUR", lambda head: _ico(head, kind=2)),
    ("PPM", _ppm),
    ("PCX", _pcx),
    ("TGA", _tga),
)
