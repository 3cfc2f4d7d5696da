"""A full disk and a read-only one: clear errors, nothing lost, the gallery still opens."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from featurelens.errors import GalleryError
from featurelens.search import Gallery, schema
from fixtures.drawn import draw_many
from fixtures.galleries import assert_complete, content, filled
from fixtures.numpy_backbone import NumpyBackbone

Mount = Callable[..., Path]


@pytest.fixture
def mount(tmp_path) -> Iterator[Mount]:
    """A tmpfs of some MiB; needs Linux and root."""
    if not sys.platform.startswith("linux") or os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("mounting a small disk needs Linux and root")
    place = tmp_path / "disk"
    place.mkdir()

    command = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(place)]
    if subprocess.run(command, capture_output=True).returncode:
        pytest.skip("this container may not mount a tmpfs")

    def mounted(*options: str) -> Path:
        remount(place, *options)
        return place

    yield mounted
    unmounted = subprocess.run(["umount", str(place)], capture_output=True)
    if unmounted.returncode:
        subprocess.run(["umount", "--lazy", str(place)], check=True)
        pytest.fail(f"something still holds the disk: {unmounted.stderr.decode()}")


def remount(place: Path, *options: str) -> None:
    subprocess.run(["mount", "-o", ",".join(("remount", *options)), str(place)], check=True)


@pytest.mark.parametrize("other_bytes", [0, 2_000_000, 2_800_000])
def test_a_full_disk_is_said_and_what_was_done_is_kept(tmp_path, mount, other_bytes):
    photos = tmp_path / "photos"
    draw_many(photos, 300)
    disk = mount("size=4m")
    (disk / "other").write_bytes(b"x" * other_bytes)
    backbone = NumpyBackbone(dim=4096)
    with Gallery.create(photos, backbone=backbone, at=disk / "gallery") as gallery:
        with pytest.raises(GalleryError, match=r"[Dd]isk.*full.*kept"):
            gallery.update(batch_size=8)
        done = len(gallery)
        assert done < 300
    with Gallery.open(disk / "gallery", backbone=backbone) as gallery:
        assert len(gallery) == done
        assert len(gallery.search(photos / "000.png", k=5)) == min(5, done)
        assert len(content(gallery)) == done
        with pytest.raises(GalleryError, match=r"[Dd]isk.*full"):
            gallery.update(batch_size=8)
        remount(disk, "size=64m")
        embedded = backbone.embedded
        left = 300 - len(gallery)
        assert gallery.update().added == left
        assert len(gallery) == 300
        assert backbone.embedded - embedded <= 300 - done


def test_the_disk_full_to_the_last_byte_still_opens(tmp_path, mount):
    draw_many(tmp_path / "photos", 40)
    disk = mount("size=4m")
    with filled(tmp_path / "photos", at=disk / "gallery"):
        pass
    with open(disk / "other", "wb", buffering=0) as file:
        try:
            while file.write(b"x" * 4096):
                pass
        except OSError:
            pass
    with Gallery.open(disk / "gallery", backbone=NumpyBackbone()) as gallery:
        assert len(gallery) == 40
        assert len(gallery.search(np.ones(16, np.float32), k=3)) == 3
        assert gallery.thumbnail(1)
        draw_many(tmp_path / "photos", 4, first=40)
        with pytest.raises(GalleryError, match="disk"):
            gallery.update()
        assert len(gallery) == 40


def test_a_read_only_gallery_can_be_searched_and_says_why_it_cannot_be_written(tmp_path, mount):
    disk = mount("size=16m")
    photos = disk / "photos"
    draw_many(photos, 20)
    with filled(photos) as gallery:
        expected = gallery.search(np.ones(16, np.float32))
    remount(disk, "ro")
    try:
        before = {path: path.stat().st_mtime_ns for path in disk.rglob("*")}
        with Gallery.open(photos, backbone=NumpyBackbone()) as gallery:
            assert gallery.search(np.ones(16, np.float32)) == expected
            assert gallery.thumbnail(1)
            with pytest.raises(GalleryError, match=r"cannot be written .*at=DIR"):
                gallery.update()
            with pytest.raises(GalleryError, match="cannot be written"):
                gallery.optimize()
        assert {path: path.stat().st_mtime_ns for path in disk.rglob("*")} == before
    finally:
        remount(disk, "rw")


def test_read_only_images_want_a_gallery_elsewhere(tmp_path, mount):
    disk = mount("size=16m")
    draw_many(disk, 5)
    remount(disk, "ro")
    try:
        with pytest.raises(GalleryError, match=r"cannot be written .*at=DIR"):
            Gallery.create(disk, backbone=NumpyBackbone())
        with filled(disk, at=tmp_path / "gallery") as gallery:
            assert_complete(gallery, tmp_path / "fresh")
    finally:
        remount(disk, "rw")


@pytest.fixture
def blind(monkeypatch) -> Callable[[Path], Gallery]:
    """Opens a gallery as in a folder shared read-only: its file is read as an unchanging one."""
    real = schema._open_reader

    def refuse(path, how, **options):
        if "immutable" not in how:
            raise sqlite3.OperationalError("unable to open database file")
        return real(path, how, **options)

    def opened(folder: Path) -> Gallery:
        with monkeypatch.context() as patched:
            patched.setattr(schema, "_open_reader", refuse)
            return Gallery.open(folder)

    return opened


def test_a_read_only_reader_notices_a_writer_elsewhere(tmp_path, blind):
    """It opens the file anew when it has changed."""
    draw_many(tmp_path, 4)
    with filled(tmp_path) as writer:
        pass
    with blind(tmp_path) as reader:
        assert len(reader.search(np.ones(16, np.float32))) == 4
        draw_many(tmp_path, 3, first=4)
        with Gallery.open(tmp_path, backbone=NumpyBackbone()) as writer:
            writer.update()
        assert len(reader.search(np.ones(16, np.float32))) == 7


@pytest.mark.parametrize("how", ["renamed to", "written over"])
def test_a_read_only_reader_mixes_no_two_galleries(tmp_path, blind, how):
    """Another gallery of as many images in the place of the one it has opened: its vectors are not those it holds."""
    draw_many(tmp_path / "photos", 4)
    draw_many(tmp_path / "others", 4, first=10)
    filled(tmp_path / "photos", at=tmp_path / "gallery").close()
    filled(tmp_path / "others", at=tmp_path / "other").close()
    newer, place = tmp_path / "other" / "gallery.db", tmp_path / "gallery" / "gallery.db"
    with blind(place.parent) as reader:
        right = reader.search(np.ones(16, np.float32))
        if how == "renamed to":
            newer.replace(place)
            assert reader.store.replaced()
            assert reader.search(np.ones(16, np.float32)) == right, (
                "as any reader: what it opened is still there"
            )
            assert [hit.name for hit in reader.images()] == [f"00{i}.png" for i in range(4)]
        else:
            shutil.copyfile(newer, place)
            for _ in range(2):
                with pytest.raises(
                    GalleryError, match=r"was made anew since it was opened here.*Open it again"
                ):
                    reader.search(np.ones(16, np.float32))
    with Gallery.open(place.parent) as gallery:
        assert {hit.name for hit in gallery.search(np.ones(16, np.float32))} == {
            f"01{i}.png" for i in range(4)
        }


def test_a_read_only_reader_of_a_database_that_was_put_back_holds_no_vector_of_the_one_before(
    tmp_path, blind
):
    """After a backup of the database has been put back, its next rows have ids that other images had."""
    photos, database = tmp_path / "photos", tmp_path / "gallery" / "gallery.db"
    draw_many(photos, 4)
    filled(photos, at=database.parent).close()
    shutil.copy(database, tmp_path / "backup.db")
    vector = np.ones(16, np.float32)

    def update() -> None:
        with Gallery.open(database.parent, backbone=NumpyBackbone()) as writer:
            writer.update()

    draw_many(photos, 3, first=4)
    update()
    with blind(database.parent) as reader:
        assert len(reader.search(vector)) == 7
        shutil.copy(tmp_path / "backup.db", tmp_path / "newer.db")
        (tmp_path / "newer.db").replace(database)
        for i in range(4, 7):
            (photos / f"{i:03d}.png").unlink()
        draw_many(photos, 3, first=10)
        update()
        with Gallery.open(database.parent) as fresh:
            assert reader.search(vector) == fresh.search(vector)
