"""What a file is, told from its first bytes; its name is never asked."""

from __future__ import annotations

READ = {
    "JPEG": (b"\xff\xd8\xff",),
    "PNG": (b"\x89PNG\r\n\x1a\n",),
    "GIF": (b"GIF87a", b"GIF89a"),
    "BMP": (b"BM",),
    "TIFF": (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
    "JPEG2000": (b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51"),
    "PSD": (b"8BPS",),
    "ICO": (),
    "CUR": (),
    "TGA": (),
    "ICNS": (b"icns",),
    "PPM": (b"P1", b"P2", b"P3", b"P4", b"P5", b"P6", b"Pf", b"PF", b"P0CMYK"),
    "DDS": (b"DDS ",),
    "QOI": (b"qoif",),
    "SGI": (b"\x01\xda",),
    "PCX": (b"\x0a\x00\x01", b"\x0a\x02\x01", b"\x0a\x03\x01", b"\x0a\x05\x01"),
    "SUN": (b"\x59\xa6\x6a\x95",),
    "XBM": (b"#define ",),
    "XPM": (b"/* XPM */",),
    "FLI": (),
    "WEBP": (),
    "AVIF": (),
    "HEIF": (),
}
"""Formats that are decoded, with the bytes that they start with (empty: told by `_by_structure`)."""

_NOT_READ = {
    b"%!PS": "an EPS or PostScript drawing; it is a program for a printer and is not run",
    b"\xc5\xd0\xd3\xc6": "an EPS drawing; it is a program for a printer and is not run",
    b"%PDF": "a PDF document, not an image; export its pages as images first",
    b"\xd7\xcd\xc6\x9a": "a WMF drawing, which is not read; export it as PNG",
    b"\x01\0\0\0": "an EMF drawing, which is not read; export it as PNG",
    b"SIMPLE  =": "a FITS file, which is not read; export it as PNG or TIFF",
    b"PK\x03\x04": "a ZIP archive or office document, not an image",
    b"\x1f\x8b": "a gzip archive, not an image",
    b"BLP": "a BLP game texture, which is not read; convert it to PNG",
    b"SQLite format 3\0": "a database, not an image",
    b"\x7fELF": "a program, not an image",
    b"RIFF": "a RIFF file of another kind (sound or film), not an image",
}
_AVIF = {b"avif", b"avis"}
_HEIF = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}
_FLI = {b"\x11\xaf", b"\x12\xaf"}


def sniff(head: bytes) -> str | None:
    """The format of a file that starts with `head` (32 bytes or more are enough); None if it is none we read.

    >>> sniff(b"GIF89a" + bytes(26)), sniff(b"hello")
    ('GIF', None)
    """
    if (told := _by_structure(head)) is not None:
        return told
    for name, starts in READ.items():
        if starts and head.startswith(starts):
            return name if _plausible(name, head) else None
    return None


def describe(head: bytes) -> str:
    """Why a file that starts with `head` is not read, in plain words."""
    if not head:
        return "the file is empty"
    if not head.strip(b"\0"):
        return "not an image: the file begins with zeros only"
    for start, reason in _NOT_READ.items():
        if head.startswith(start):
            return reason
    if head[4:8] == b"ftyp":
        return "a film, or an image format that is not read"
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:256].lower()
    if text.startswith((b"<svg", b"<?xml")) and (b"<svg" in head.lower() or text.startswith(b"<svg")):
        return "an SVG drawing, which is not read; export it as PNG"
    if text.startswith((b"<!doctype", b"<html", b"<?xml", b"<")):
        return "not an image: it looks like a web page or XML"
    if all(c in b"\t\n\r\f\b\x1b" or c >= 32 for c in head):
        return "not an image: it looks like text"
    return "not an image of a known format"


def _by_structure(head: bytes) -> str | None:
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    if head[4:8] == b"ftyp":
        brands = {head[8:12], *(head[i : i + 4] for i in range(16, len(head) - 3, 4))}
        if brands & _AVIF:
            return "AVIF"
        return "HEIF" if brands & _HEIF else None
    if head[4:6] in _FLI and head[14:16] in (b"\0\0", b"\x03\0"):
        return "FLI"
    if head[:4] in (b"\0\0\x01\0", b"\0\0\x02\0") and head[4:6] != b"\0\0":
        return "ICO" if head[2] == 1 else "CUR"
    return "TGA" if _is_tga(head) else None


def _is_tga(head: bytes) -> bool:
    """Targa has no mark at its start; its header must make sense as a whole."""
    if len(head) < 18:
        return False
    mapped, kind, map_depth, depth = head[1], head[2], head[7], head[16]
    size = int.from_bytes(head[12:14], "little") and int.from_bytes(head[14:16], "little")
    if not size or kind not in (1, 2, 3, 9, 10, 11) or depth not in (8, 15, 16, 24, 32) or head[17] & 0xC0:
        return False
    if kind in (1, 9):
        return mapped == 1 and map_depth in (15, 16, 24, 32) and depth == 8
    return mapped == 0 and head[3:8] == bytes(5)


def _plausible(name: str, head: bytes) -> bool:
    """Two letters are a weak sign: look at the next bytes before text is taken for a picture."""
    if name == "BMP":
        return len(head) >= 18 and head[14:18] in {
            bytes([n, 0, 0, 0]) for n in (12, 40, 52, 56, 64, 108, 124)
        }
    if name == "PPM":
        return head[:6] == b"P0CMYK" or head[2:3] in (b" ", b"\t", b"\n", b"\r", b"#")
    if name == "XBM":
        return b"_width" in head or b"_height" in head
    return True
