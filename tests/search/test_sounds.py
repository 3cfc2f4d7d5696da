"""A gallery of sounds: indexed, found by a sound, by words, labelled, shown; what is no sound is in the ledger."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("soundfile", reason="reads sounds (extra sound)")
import soundfile

from featurelens.backbone import load_backbone
from featurelens.errors import ReadError
from featurelens.search import Gallery, find_duplicates, label_images, search_like
from fixtures.made_sounds import RATE, sound, write_sounds


@pytest.fixture(scope="module")
def net(clap: Any) -> Any:
    return load_backbone(f"clap:{clap.folder}", device="cpu", threads=1)


@pytest.fixture(scope="module")
def made(net: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("sounds")
    write_sounds(folder, kinds=("tone", "bell", "noise", "chirp"))
    Image.new("RGB", (20, 20)).save(folder / "cover.jpg")
    (folder / "cut.wav").write_bytes((folder / "bell/bell-0.wav").read_bytes()[:5000])
    (folder / "empty.flac").write_bytes(b"")
    with Gallery.create(folder, backbone=net) as gallery:
        report = gallery.update(workers=2, batch_size=4)
        yield folder, gallery, report


def test_every_file_is_indexed_or_has_its_reason(made: Any) -> None:
    _, gallery, report = made
    assert (report.added, report.skipped) == (12, 3)
    reasons = dict(gallery.skipped())
    assert reasons["cover.jpg"] == "not a sound: a JPEG picture"
    assert "cut short" in reasons["cut.wav"]
    assert reasons["empty.flac"] == "empty file"
    again = gallery.update(workers=1)
    assert (again.added, again.changed, again.unchanged, again.skipped) == (0, 0, 12, 3)


def test_a_renamed_and_a_copied_sound_cost_no_work(made: Any) -> None:
    folder, gallery, _ = made
    (folder / "tone/tone-0.wav").rename(folder / "tone/other.wav")
    moved = gallery.update(workers=1)
    (folder / "tone/other.wav").rename(folder / "tone/tone-0.wav")
    back = gallery.update(workers=1)
    assert (moved.moved, back.moved, moved.added, moved.removed) == (1, 1, 0, 0)


@pytest.mark.parametrize("kind", ["tone", "bell", "noise", "chirp"])
def test_the_same_sound_finds_itself_first(made: Any, tmp_path: Path, kind: str) -> None:
    """Quieter, in another format, at another sample rate, in stereo: with a random network, for it is the same sound."""
    import soxr

    _, gallery, _ = made
    samples = sound(kind, 1, seconds=2.0)
    assert gallery.search(_written(tmp_path / "same.flac", samples), k=1)[0].name == f"{kind}/{kind}-1.wav"
    others = {
        "quiet.wav": (0.5 * samples, RATE),
        "stereo.flac": (np.stack([samples, samples], 1), RATE),
        "slow.wav": (soxr.resample(samples, RATE, 44_100), 44_100),
    }
    for name, (changed, rate) in others.items():
        hits = gallery.search(_written(tmp_path / name, changed, rate), k=3)
        assert hits[0].label == kind, (name, hits)


def _written(path: Path, samples: np.ndarray, rate: int = RATE) -> Path:
    soundfile.write(path, samples, rate, subtype="PCM_24")
    return path


def test_words_labels_several_sounds_and_duplicates(made: Any, tmp_path: Path) -> None:
    folder, gallery, _ = made
    hits = gallery.search(text="rain on a roof", k=12)
    wanted = gallery.features().vectors @ _unit(gallery.backbone.embed_text(["rain on a roof"])[0])
    assert [hit.similarity for hit in hits] == pytest.approx(sorted(wanted, reverse=True), abs=1e-5)
    assert len(gallery.search(folder / "bell/bell-0.wav", text="dog", less_text="noise", k=2)) == 2
    found = label_images(gallery, ["dog", "bell"])
    assert sum(found.counts().values()) == 12
    assert (
        search_like(gallery, [folder / "bell/bell-0.wav", folder / "bell/bell-1.wav"], k=3)[0].label == "bell"
    )
    (folder / "copy.wav").write_bytes((folder / "bell/bell-2.wav").read_bytes())
    gallery.update(workers=1)
    groups = find_duplicates(gallery)
    assert any({hit.name for hit in group.members} >= {"copy.wav", "bell/bell-2.wav"} for group in groups)
    (folder / "copy.wav").unlink()
    gallery.update(workers=1)


def _unit(row: np.ndarray) -> np.ndarray:
    return row / np.linalg.norm(row)


def test_a_thumbnail_is_a_spectrogram_and_kept(made: Any) -> None:
    _, gallery, _ = made
    first = gallery.thumbnail(gallery.images()[0])
    assert first[8:12] == b"WEBP"
    assert gallery.thumbnail(gallery.images()[0]) == first
    assert list((gallery.folder / "thumbnails").rglob("*.webp"))


def test_a_picture_is_no_query(made: Any) -> None:
    folder, gallery, _ = made
    with pytest.raises(ReadError, match="not a sound: a JPEG picture"):
        gallery.search(folder / "cover.jpg")


def test_a_file_that_changes_while_it_is_read_is_tried_again(net: Any, tmp_path: Path) -> None:
    from featurelens.backbone.reader import reader_of
    from featurelens.search.content import NotRead, load

    soundfile.write(tmp_path / "growing.wav", sound("tone", 0, seconds=25.0), RATE)
    item, _ = load(tmp_path / "growing.wav", reader=reader_of(net.spec), known=lambda digest: False)
    with (tmp_path / "growing.wav").open("ab") as file:
        file.write(b"\0\0")
    with pytest.raises(NotRead, match="changed while it was read"):
        list(item.parts)


@pytest.mark.slow
def test_the_commands(clap: Any, tmp_path: Path) -> None:
    write_sounds(tmp_path / "sounds", kinds=("tone", "bell"))
    command = str(Path(sys.executable).with_name("featurelens"))

    def run(*words: str) -> Any:
        done = subprocess.run(
            [command, *words], cwd=tmp_path, capture_output=True, text=True, check=False,
            env=os.environ | {"HF_HUB_OFFLINE": "1"},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done

    told = run("index", "sounds", "--backbone", f"clap:{clap.folder}")
    assert "6 sounds in the gallery: 6 added." in told.stdout
    assert "Loading" not in told.stderr, "the bars of the library are not for the user"
    found = json.loads(
        run("search", "sounds/bell/bell-1.wav", "-k", "2", "--page", "page.html", "--json").stdout
    )
    assert found["hits"][0]["name"] == "bell/bell-1.wav"
    page = (tmp_path / "page.html").read_text()
    assert page.count("<audio controls") == 2
    assert "media-src file:" in page
    assert "2 most similar of 6 sounds" in page
    assert "0 × 0" not in page
    words = json.loads(run("search", "--text", "rain on a roof", "-g", "sounds", "--json").stdout)
    assert len(words["hits"]) == 6
    assert "none of these" in run("label", "sounds", "--labels", "dog,bell").stdout
