"""Uploads: what strangers send is decoded apart, within limits of size, pixels, time and memory."""

from __future__ import annotations

import io
import sys
import time
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np
import psutil
import pytest
from PIL import Image

from featurelens.errors import ImageError
from featurelens.images.decode import decode
from featurelens.images.fit import Fit
from featurelens.search import Gallery
from featurelens.web import decoder as decoder_module
from featurelens.web.app import make_app
from featurelens.web.decoder import Decoder
from featurelens.web.limits import Limits
from featurelens.web.uploads import Upload, Uploads
from fixtures.drawn import draw_many, encoded
from fixtures.galleries import filled
from fixtures.numpy_backbone import NumpyBackbone
from fixtures.serving import serving

FIT = Fit(32, 32, mode="squash", interpolation="bilinear")


def test_an_upload_is_what_the_gallery_would_read(client, gallery: Gallery):
    data = encoded(5, size=(300, 200))
    told = client.post("/api/v1/uploads", files={"file": ("../../x.png", data)}).json()
    assert (told["width"], told["height"]) == (200, 300)
    picture = client.get(told["thumbnail"])
    assert Image.open(io.BytesIO(picture.content)).size == (200, 300)
    assert client.get(f"/api/v1/uploads/{told['upload']}").json() == told


def test_what_cannot_be_an_upload(client):
    for data, word in ((b"", "empty"), (b"hello, this is text", "text"), (b"<svg></svg>", "SVG")):
        answer = client.post("/api/v1/uploads", files={"file": ("x.png", data)})
        assert answer.status_code == 422
        assert word in answer.json()["detail"]
    assert client.post("/api/v1/uploads", files={"other": ("x.png", encoded(1))}).status_code == 422
    assert client.post("/api/v1/uploads", json={"file": "x"}).status_code == 422
    assert client.get("/api/v1/uploads/none").status_code == 404


def test_the_process_apart_decodes_as_the_library_does():
    decoder = Decoder(FIT, exact=False, max_pixels=10**8, limits=Limits())
    data = encoded(7, kind="JPEG", size=(500, 400))
    try:
        found = decoder.decode(data)
    finally:
        decoder.close()
    np.testing.assert_array_equal(found.fitted, decode(data, fit=FIT).pixels)
    assert (found.width, found.height, found.data) == (400, 500, data)


def test_too_many_pixels():
    decoder = Decoder(FIT, exact=False, max_pixels=10**8, limits=replace(Limits(), pixels=1000))
    with pytest.raises(ImageError, match="limit of 1,000"):
        decoder.decode(encoded(1))
    decoder.close()


@pytest.mark.parametrize(
    ("child", "word"),
    [
        ("import time; time.sleep(60)", "more than 0.5 s"),
        ("import os; os.abort()", "gave up"),
        ("import sys; sys.stdout.buffer.write(b'x' * 5)", "gave up"),
    ],
)
def test_a_decoder_that_hangs_or_dies_is_replaced(monkeypatch, child: str, word: str):
    decoder = Decoder(FIT, exact=False, max_pixels=10**8, limits=replace(Limits(), decode_s=0.5))
    with monkeypatch.context() as patched:
        patched.setattr(decoder_module, "_COMMAND", (sys.executable, "-c", child))
        started = time.monotonic()
        with pytest.raises(ImageError, match=word):
            decoder.decode(encoded(1))
        assert time.monotonic() - started < 10
    patient = Decoder(FIT, exact=False, max_pixels=10**8, limits=Limits())
    assert patient.decode(encoded(1)).width == 48
    patient.close()
    decoder.close()


def test_memory_for_uploads_is_bounded():
    held = Uploads(1000)
    one = Upload(b"x" * 300, 1, 1, np.zeros((1, 1, 3), np.uint8), b"")
    tokens = [held.put(one) for _ in range(10)]
    assert len(held) == 3
    assert held.get(tokens[-1]) is one
    huge = Upload(b"x" * 5000, 1, 1, np.zeros((1, 1, 3), np.uint8), b"")
    assert held.get(held.put(huge)) is huge
    assert len(held) == 1


def answers(client: httpx.Client, files: list[Path]) -> dict[str, tuple[int, float]]:
    """The status of each upload and the seconds it took."""
    found = {}
    for path in files:
        started = time.monotonic()
        answer = client.post("/api/v1/uploads", files={"file": (path.name, path.read_bytes())})
        found[str(path)] = answer.status_code, time.monotonic() - started
    return found


@pytest.mark.slow
def test_hostile_files_through_the_page_s_own_upload(shared: Path, tmp_path: Path):
    """About 900 broken, odd and hostile files: each is taken or refused in words, soon, in bounded memory."""
    files = sorted(p for p in (shared / "data" / "badfiles").rglob("*") if p.is_file())
    draw_many(tmp_path, 3)
    app = make_app(filled(tmp_path, NumpyBackbone()))
    me, before = psutil.Process(), psutil.Process().memory_info().rss
    peak = 0
    with serving(app) as address, httpx.Client(base_url=address, timeout=60) as client:
        found = {}
        for start in range(0, len(files), 25):
            found |= answers(client, files[start : start + 25])
            children = [child.memory_info().rss for child in me.children()]
            peak = max(peak, me.memory_info().rss - before + sum(children))
        assert client.post("/api/v1/search", json={"ids": [1]}).status_code == 200
    odd = {name: got for name, got in found.items() if got[0] not in (201, 413, 422) or got[1] > 20}
    assert not odd
    taken = sum(status == 201 for status, _ in found.values())
    assert len(files) > 800
    assert 300 < taken < len(files)
    assert peak < 2 << 30, f"{peak / 2**20:.0f} MiB"
