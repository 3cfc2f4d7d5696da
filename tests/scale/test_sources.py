"""Images of S3, inside of tar shards and in Parquet; what is broken stands in the ledger, once."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest
from pyarrow.fs import FileSystem

from featurelens.errors import GalleryError, ImageError, InvalidInput
from featurelens.images import members
from featurelens.images.decode import decode
from featurelens.images.remote import file_system
from featurelens.scale import source_of
from featurelens.search import Gallery, find_duplicates
from fixtures.drawn import draw_many, encoded
from fixtures.numpy_backbone import NumpyBackbone
from scale.conftest import put_folder


def shard(path: Path, numbers: range, *, bad: bool = False) -> Path:
    """A WebDataset shard: an image and a .cls each, the label last."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for i in numbers:
            for ending, data in (("png", encoded(i)), ("cls", str(i % 3).encode())):
                add(tar, f"{i:05d}.{ending}", data)
        if bad:
            add(tar, "bad.png", encoded(1)[:60])
    return path


def add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    tar.addfile(info, io.BytesIO(data))


def names_and_labels(gallery: Gallery) -> list[tuple[str, str | None]]:
    return [(hit.name, hit.label) for hit in gallery.images()]


@pytest.mark.parametrize("where", ["folder", "s3"])
def test_tar_shards(tmp_path: Path, where: str, request) -> None:
    shards = tmp_path / "shards"
    shard(shards / "0.tar", range(6))
    shard(shards / "1.tar", range(6, 10), bad=True)
    (shards / "readme.txt").write_text("not a shard")
    place, at = str(shards), tmp_path / "g.lance"
    if where == "s3":
        put_folder(request.getfixturevalue("s3"), "pics", shards)
        place, at = "s3://pics/shards", "s3://pics/g.lance"
    backbone = NumpyBackbone()
    gallery = Gallery.create(f"{place}/*.tar", backbone=backbone, at=at)
    report = gallery.update(batch_size=4)
    assert (report.added, report.skipped) == (10, 1)
    expected = [(f"{i // 6}.tar/{i:05d}.png", str(i % 3)) for i in range(10)]
    assert names_and_labels(gallery) == expected
    assert gallery.skipped()[0][0] == "1.tar/bad.png"
    hit = gallery.search(encoded(7), k=1)[0]
    assert (hit.name, round(hit.similarity, 5)) == ("1.tar/00007.png", 1)
    assert decode(hit.path).pixels.shape == (40, 48, 3), "a member can be opened by its path"
    assert gallery.thumbnail(hit)[:4] == b"RIFF"
    before = backbone.embedded
    assert gallery.update().unchanged == 10
    assert backbone.embedded == before, "a shard that has been read whole is not read again"


def test_members_of_shards_are_twins_until_the_shard_is_gone(tmp_path: Path) -> None:
    shard(tmp_path / "shards" / "0.tar", range(3))
    second = shard(tmp_path / "shards" / "1.tar", range(2, 5))
    gallery = Gallery.create(tmp_path / "shards" / "*.tar", backbone=NumpyBackbone(), at=tmp_path / "g.lance")
    gallery.update()
    for only in (True, False):
        (group,) = find_duplicates(gallery, exact_only=only)
        assert {hit.name for hit in group.members} == {"0.tar/00002.png", "1.tar/00002.png"}
    second.unlink()
    assert find_duplicates(gallery) == []


def test_a_damaged_shard_gives_what_it_has_and_is_listed(tmp_path: Path) -> None:
    whole = shard(tmp_path / "s" / "0.tar", range(8)).read_bytes()
    (tmp_path / "s" / "0.tar").write_bytes(whole[: len(whole) // 2])
    gallery = Gallery.create(tmp_path / "s" / "0.tar", backbone=NumpyBackbone(), at=tmp_path / "g.lance")
    report = gallery.update()
    assert 2 <= report.added < 8
    assert [name for name, _ in gallery.skipped()] == ["0.tar"]
    assert "cut short" in gallery.skipped()[0][1]
    assert gallery.update().skipped == 1
    (tmp_path / "s" / "0.tar").write_bytes(whole)
    assert gallery.update().skipped == 0
    assert len(gallery) == 8
    shard(tmp_path / "s" / "0.tar", range(3))
    gallery.update()
    assert len(gallery) == 3, "what a new shard does not hold any more is gone"


def test_parquet_with_images(tmp_path: Path) -> None:
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    cells = [{"bytes": encoded(i), "path": f"{i}.png"} for i in range(5)] + [{"bytes": None, "path": None}]
    file = tmp_path / "photos.parquet"
    pq.write_table(pa.table({"n": range(6), "image": cells, "label": [i % 2 for i in range(6)]}), file)
    gallery = Gallery.create(file, backbone=NumpyBackbone(), at=tmp_path / "g.lance")
    assert gallery.update().added == 5
    assert names_and_labels(gallery)[3] == ("photos.parquet/000000003", "1")
    assert [name for name, _ in gallery.skipped()] == ["photos.parquet/000000005"]
    assert decode(gallery.image(1).path).width == 48
    pq.write_table(pa.table({"n": range(6)}), tmp_path / "none.parquet")
    other = Gallery.create(tmp_path / "none.parquet", backbone=NumpyBackbone(), at=tmp_path / "h.lance")
    other.update()
    assert "no column holds images" in other.skipped()[0][1]


def test_images_of_a_bucket_that_answers_503_now_and_then(tmp_path: Path, s3) -> None:
    photos = tmp_path / "photos"
    draw_many(photos / "cat", 12)
    (photos / "half.png").write_bytes(encoded(1)[:80])
    (photos / "metadata.csv").write_text("file_name,label\ncat/000.png,tabby\n")
    put_folder(s3, "pics", photos)
    gallery = Gallery.create("s3://pics/photos", backbone=NumpyBackbone(), at="s3://pics/g.lance")
    s3.every = 10
    gallery.update()
    s3.every = 0
    assert s3.refused > 0, "nothing was refused: this proved nothing"
    assert len(gallery) == 12
    assert [name for name, _ in gallery.skipped()] == ["half.png", "metadata.csv"]
    assert gallery.images()[0].label == "tabby"
    assert str(gallery.images()[0].path) == "s3://pics/photos/cat/000.png"
    s3.delete("pics/photos/cat/001.png")
    with pytest.raises(ImageError, match="no such file"):
        decode(gallery.image(2).path)
    assert gallery.update().removed == 1


def test_fsspec_s_other_stores(tmp_path: Path) -> None:
    fsspec = pytest.importorskip("fsspec")
    memory = fsspec.filesystem("memory")
    for i in range(3):
        memory.pipe(f"/zoo/{i}.png", encoded(i))
    gallery = Gallery.create("memory://zoo", backbone=NumpyBackbone(), at=tmp_path / "g.lance")
    assert gallery.update().added == 3
    assert gallery.search(encoded(2), k=1)[0].name == "2.png"


def test_a_source_that_is_not_there_leaves_no_table(tmp_path: Path, s3) -> None:
    pytest.importorskip("fsspec")
    s3.put("pics/photos/0.png", encoded(0))
    for wrong in ("s3://pics/photo", "s3://none/photos", "memory://nowhere", tmp_path / "none"):
        with pytest.raises(InvalidInput, match=r"There is nothing at|There is no folder"):
            Gallery.create(wrong, backbone=NumpyBackbone(), at=tmp_path / "g.lance")
    assert not (tmp_path / "g.lance").exists()
    assert Gallery.create("s3://pics", backbone=NumpyBackbone(), at=tmp_path / "g.lance").update().added == 1


def test_addresses_of_azure_name_the_account_or_leave_it_to_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = "abfs://pics@someone.dfs.core.windows.net/photos/cat"
    monkeypatch.delenv("AZURE_STORAGE_ACCOUNT_NAME", raising=False)
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", "c29tZQ==")
    system, path = file_system(whole)
    assert (system.type_name, path) == ("abfs", FileSystem.from_uri(whole)[1])
    for short in ("az://pics/photos/cat", "abfs://pics/photos/cat"):
        with pytest.raises(InvalidInput, match="AZURE_STORAGE_ACCOUNT_NAME"):
            Gallery.create(short, backbone=NumpyBackbone(), at="never.lance")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "someone")
    assert [file_system(short) for short in ("az://pics/photos/cat", "abfs://pics/photos/cat/")] == [
        (system, path)
    ] * 2


def test_what_a_user_names() -> None:
    assert source_of("s3://b/shards/**/*.tar").root == "s3://b/shards"
    assert source_of(["/a/b/1.tar", "/a/b/c/2.tar"]).patterns == ("1.tar", "c/2.tar")
    with pytest.raises(InvalidInput, match="one folder or address"):
        source_of(["/a/b", "/a/1.tar"])
    with pytest.raises(InvalidInput, match="common folder"):
        source_of(["s3://a/1.tar", "s3://b/1.tar"])


def test_one_table_holds_one_kind(tmp_path: Path) -> None:
    draw_many(tmp_path / "photos", 2)
    shard(tmp_path / "photos" / "0.tar", range(2))
    gallery = Gallery.create(tmp_path / "photos", backbone=NumpyBackbone(), at=tmp_path / "g.lance")
    with pytest.raises(InvalidInput, match="another table"):
        gallery.store.move(tmp_path / "photos" / "0.tar")
    with pytest.raises((InvalidInput, GalleryError)):
        gallery.store.move(tmp_path / "none")


def test_a_side_file_that_is_none_and_frames_of_one_stem_do_not_stop_a_shard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tarfile.open(tmp_path / "0.tar", "w") as tar:
        add(tar, "a.json", b"[" * 200_000)
        for i in range(8):
            add(tar, f"frame.{i}.png", encoded(i))
    monkeypatch.setattr(members, "_MOST_WAITING", 2 * len(encoded(0)))
    seen = 0
    with open(tmp_path / "0.tar", "rb") as file:
        for one in members._of_tar(file):
            assert file.tell() >= 0
            assert one.label is None
            seen += 1
    assert seen == 8
    gallery = Gallery.create(str(tmp_path / "*.tar"), backbone=NumpyBackbone(), at=tmp_path / "g.lance")
    assert gallery.update().added == 8
