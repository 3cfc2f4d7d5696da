"""Telling formats by content, and naming what is not an image."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from featurelens.images.formats import FORMATS, HEAD, sniff
from featurelens.images.kinds import why_not

REASONS = [
    (b"", "empty file"),
    (b"Dear reader,\n", "looks like text"),
    ("Grüße, 你好".encode(), "looks like text"),
    ("wide text".encode("utf-16"), "looks like text"),
    (("你" * 400).encode()[:1000], "looks like text"),
    (b'{"a": 1}', "looks like text"),
    (b"<!DOCTYPE html><html>", "web page"),
    (b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>', "SVG is a drawing format"),
    (b"%PDF-1.7", "PDF"),
    (b"%!PS-Adobe-3.0 EPSF-3.0", "never run"),
    (b"PK\x03\x04", "ZIP"),
    (b"\0\0\0\x20ftypisom\0\0\2\0isomiso2avc1mp41", "video"),
    (b"\0\0\0\x18ftypcrx \0\0\0\1crx isom", "raw file"),
    (b"RIFF\0\0\0\0WAVEfmt ", "WAV"),
    (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
    (b"\xff\x0a" + bytes(20), "JPEG XL"),
    (bytes(1024), "only zeros"),
    (b"\0\5\x16\7\0\2\0\0Mac OS X", "macOS companion"),
    (bytes(range(128, 256)) * 4, "unknown kind"),
    (b"\xff\xd8\0\0", "JPEG file whose beginning is damaged"),
    (b"BM is how this text begins", "looks like text"),
    (b"P5 is how this text begins", "looks like text"),
]


@pytest.mark.parametrize(("head", "words"), REASONS, ids=[words for _, words in REASONS])
def test_reasons(head: bytes, words: str) -> None:
    assert sniff(head) is None
    assert words in why_not(head)


@given(st.binary(max_size=200))
def test_any_bytes_have_a_name_or_a_reason(head: bytes) -> None:
    name = sniff(head)
    assert name in FORMATS if name else why_not(head)


@given(st.text(min_size=1, max_size=200).filter(str.strip))
def test_text_is_not_taken_for_a_picture(text: str) -> None:
    printable = "".join(c for c in text if c.isprintable())
    assert sniff(printable.encode()) is None


def test_the_formats_of_real_files(shared: Path) -> None:
    """Pillow's own verdicts, on hundreds of files with right, wrong and no endings."""
    folder = shared / "data" / "badfiles"
    same = {"MPO": "JPEG"}
    wrong = []
    with open(folder / "manifest.csv", newline="") as file:
        for row in csv.DictReader(file):
            expected = same.get(row["pil_format"], row["pil_format"])
            head = (folder / row["file"]).read_bytes()[:HEAD]
            if expected in FORMATS and row["pil_outcome"] == "ok" and sniff(head) != expected:
                wrong.append((row["file"], expected, sniff(head)))
    assert wrong == []
