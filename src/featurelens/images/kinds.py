"""What a file that is not read seems to be, in plain words."""

from __future__ import annotations

from featurelens.images.formats import brands

_RARE = "a rare picture format that is not read; convert it to PNG or JPEG"
RAW = "a camera's raw file, which is not read; export it as JPEG"
_KINDS = (
    (b"%!PS", "PostScript is a program that draws and is never run here; export it as PNG"),
    (b"\xc5\xd0\xd3\xc6", "PostScript is a program that draws and is never run here; export it as PNG"),
    (b"%PDF", "not an image: a PDF document; export its pages as PNG or JPEG"),
    (b"\xff\x0a", "JPEG XL is not read yet; convert it to PNG or JPEG"),
    (b"\0\0\0\x0cJXL ", "JPEG XL is not read yet; convert it to PNG or JPEG"),
    (b"BLP1", f"BLP is {_RARE}"),
    (b"BLP2", f"BLP is {_RARE}"),
    (b"SIMPLE  =", f"FITS is {_RARE}"),
    (b"FTEX", f"FTEX is {_RARE}"),
    (b"\x80\xe8\0\0", f"PIXAR is {_RARE}"),
    (b"DanM", f"MSP is {_RARE}"),
    (b"LinS", f"MSP is {_RARE}"),
    (b"\xb1\x68\xde\x3a", f"DCX is {_RARE}"),
    (b"/* XPM */", f"XPM is {_RARE}"),
    (b"#define", "not an image that is read: C source code or an XBM drawing"),
    (b"Image type:", f"IM is {_RARE}"),
    (b"gimp xcf", "a GIMP project, which is not read; export it as PNG or JPEG"),
    (b"\xd7\xcd\xc6\x9a", "WMF is a drawing format, not read; export it as PNG"),
    (b"FUJIFILMCCD-RAW", RAW),
    (b"IIRO", RAW),
    (b"IIRS", RAW),
    (b"MMOR", RAW),
    (b"IIU\0", RAW),
    (b"version https://git-lfs", "a Git LFS pointer, not the image itself; fetch it with: git lfs pull"),
    (b"\0\x05\x16\x07", "not an image: a macOS companion file"),
    (b"\0\x05\x16\0", "not an image: a macOS companion file"),
    (b"\xd0\xcf\x11\xe0", "not an image: an old Office document"),
    (b"PK\x03\x04", "not an image: a ZIP archive or a modern Office document"),
    (b"\x1f\x8b", "not an image: compressed data (gzip)"),
    (b"7z\xbc\xaf", "not an image: a 7-Zip archive"),
    (b"Rar!", "not an image: a RAR archive"),
    (b"BZh", "not an image: compressed data (bzip2)"),
    (b"\x28\xb5\x2f\xfd", "not an image: compressed data (Zstandard)"),
    (b"\x1aE\xdf\xa3", "not an image: a video (Matroska or WebM)"),
    (b"\0\0\1\xba", "not an image: a video (MPEG)"),
    (b"\0\0\1\xb3", "not an image: a video (MPEG)"),
    (b"ID3", "not an image: sound (MP3)"),
    (b"OggS", "not an image: sound or video (Ogg)"),
    (b"fLaC", "not an image: sound (FLAC)"),
    (b"\x7fELF", "not an image: a program"),
    (b"SQLite format 3", "not an image: an SQLite database"),
    (b"\x89HDF", "not an image: an HDF5 data file"),
    (b"\x93NUMPY", "not an image: a NumPy array; load it and pass the array"),
    (b"PAR1", "not an image: a Parquet table"),
)


def why_not(head: bytes) -> str:
    """Why a file with these first bytes, which `formats.sniff` does not know, is not read.

    >>> why_not(b"shopping list: milk, bread")
    'not an image: looks like text'
    """
    if not head:
        return "empty file"
    for prefix, reason in _KINDS:
        if head.startswith(prefix):
            return reason
    if brands(head):
        return RAW if b"crx " in brands(head) else "not an image: a video or sound (MP4 or QuickTime)"
    if head[:4] == b"RIFF":
        return "not an image: sound or video (WAV or AVI)"
    if head[40:44] == b" EMF":
        return "EMF is a drawing format, not read; export it as PNG"
    if head[4:6] in (b"\x11\xaf", b"\x12\xaf"):
        return f"FLI is {_RARE}"
    if head[20:24] == b"GIMP":
        return f"GBR is {_RARE}"
    if head.startswith(b"\xff\xd8"):
        return "a JPEG file whose beginning is damaged"
    if head[12:16] == b"IHDR":
        return "a PNG file whose beginning is damaged, as after a transfer as text"
    if not any(head):
        return "not an image: the file holds only zeros, as after an interrupted copy"
    return _text(head) or "not an image: contents of an unknown kind"


def _text(head: bytes) -> str | None:
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        text = head[: len(head) // 2 * 2].decode("utf-16", "replace")
    else:
        try:
            text = head.decode("utf-8")
        except UnicodeDecodeError as error:
            if len(head) - error.start > 3:  # more than a character cut at the end
                return None
            text = head[: error.start].decode("utf-8")
    if sum(not (c.isprintable() or c.isspace()) for c in text) * 20 > len(text):
        return None
    start = text.lstrip("\ufeff \t\r\n").lower()
    if "<svg" in start:
        return "SVG is a drawing format, not read; export it as PNG"
    if start.startswith(("<!doctype html", "<html", "<head")):
        return "not an image: a web page, perhaps an error page saved in the image's place"
    return "not an image: looks like text"
