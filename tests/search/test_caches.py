"""The cache files: torn, stale, foreign or deleted, they change no result."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing

import numpy as np
import pytest

from featurelens.errors import GalleryError
from featurelens.features import Features
from featurelens.search import Gallery, cache
from featurelens.search import nearest as nearest_module
from featurelens.search import upkeep as upkeep_module
from fixtures.numpy_backbone import NumpyBackbone

DIM = 16
QUERY = np.random.default_rng(7).normal(size=DIM).astype(np.float32)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A gallery of 600 vectors with both caches."""
    for module in (nearest_module, upkeep_module):
        monkeypatch.setattr(module, "GRAPH_FROM", 500)
    monkeypatch.setattr(upkeep_module, "CACHE_FROM", 400)
    with Gallery.create(tmp_path, backbone=NumpyBackbone(dim=DIM)) as gallery:
        assert gallery.add(vectors(600)) == []
    assert {path.name.split("-")[0] for path in gallery.folder.glob("*.bin")} == {"vectors", "hnsw"}
    return gallery.folder


def vectors(count: int, seed: int = 0) -> Features:
    raw = np.random.default_rng(seed).normal(size=(count, DIM)).astype(np.float32)
    return Features.from_raw([f"{seed}-{i}" for i in range(count)], raw, NumpyBackbone(dim=DIM).spec)


def answers(folder) -> list:
    with Gallery.open(folder) as gallery:
        return gallery.search(QUERY, k=20, exact=True) + gallery.search(QUERY, k=20)


def described(folder, name: str, about: bytes | None = None) -> bytes:
    """What the database says of a cache; `about`: what it says from now on."""
    with closing(sqlite3.connect(folder / "gallery.db")) as connection, connection:
        if about is not None:
            connection.execute("UPDATE settings SET value = ? WHERE key = ?", (about, f"cache:{name}"))
        return connection.execute("SELECT value FROM settings WHERE key = ?", (f"cache:{name}",)).fetchone()[
            0
        ]


def one(folder, pattern):
    (path,) = folder.glob(pattern)
    return path


@pytest.mark.parametrize("name", ["vectors", "hnsw"])
@pytest.mark.parametrize(
    "damage", ["cut", "scribbled", "zeroed page", "deleted", "empty", "no description", "nonsense"]
)
def test_a_torn_cache_is_not_used_and_is_rebuilt(folder, name, damage):
    right = answers(folder)
    path = one(folder, f"{name}-*.bin")
    data = bytearray(path.read_bytes())
    if damage == "cut":
        path.write_bytes(data[: len(data) // 2])
    elif damage == "scribbled":
        data[len(data) // 2] ^= 64
        path.write_bytes(data)
    elif damage == "zeroed page":
        data[4096:8192] = bytes(4096)
        path.write_bytes(data)
    elif damage == "deleted":
        path.unlink()
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "no description":
        described(folder, name, b"")
    else:
        described(folder, name, b'{"file": 3}')
    assert answers(folder) == right
    with Gallery.open(folder) as gallery:
        assert gallery.optimize() == [name]
        assert gallery.optimize() == []
    assert answers(folder) == right
    assert len(list(folder.glob(f"{name}-*.bin"))) == 1


@pytest.mark.parametrize("name", ["vectors", "hnsw"])
@pytest.mark.parametrize("way", ["update", "optimize"])
def test_a_file_that_rotted_is_made_anew_and_said(folder, name, way):
    """Of the right length, but not what was written: nobody would use it, and every later search be slower."""
    right, path = answers(folder), one(folder, f"{name}-*.bin")
    said: list[str] = []
    with Gallery.open(folder, backbone=NumpyBackbone(dim=DIM), say=said.append) as gallery:

        def tended() -> list[str]:
            if way == "update":
                return list(gallery.update().notes)
            gallery.optimize()
            return said

        assert tended() == []
        data = bytearray(path.read_bytes())
        data[len(data) // 3] ^= 1
        path.write_bytes(data)
        assert gallery.add(vectors(0)) == []
        assert path.exists(), "to add a few is quick, and reads no cache"
        (note,) = tended()
        assert note.startswith(f"{path} no longer holds what was written")
        assert not path.exists()
        said.clear()
        assert tended() == []
    assert cache.checksum(one(folder, f"{name}-*.bin")) == json.loads(described(folder, name))["checksum"]
    assert answers(folder) == right


def test_the_checksum_is_what_protects(folder, monkeypatch):
    """Sabotage: without it a scribbled cache would be believed."""
    right = answers(folder)
    path = one(folder, "vectors-*.bin")
    rows = np.fromfile(path, np.float32, 600 * DIM).reshape(600, DIM)
    data = bytearray(path.read_bytes())
    data[: rows.nbytes] = np.roll(rows, 1, axis=0).tobytes()
    path.write_bytes(data)
    assert answers(folder) == right
    monkeypatch.setattr(cache, "checksum", lambda path: json.loads(described(folder, "vectors"))["checksum"])
    assert answers(folder) != right


def test_the_caches_of_another_gallery_are_not_believed(folder, tmp_path):
    (tmp_path / "other").mkdir()
    with Gallery.create(tmp_path / "other", backbone=NumpyBackbone(dim=DIM)) as other:
        other.add(vectors(600, seed=1))
        right = answers(other.folder)
        for path in other.folder.glob("*.bin"):
            path.unlink()
        for name in ("vectors", "hnsw"):
            shutil.copy(one(folder, f"{name}-*.bin"), other.folder)
        assert answers(other.folder) == right
        other.optimize()
        for name in ("vectors", "hnsw"):  # under the very names that the database gave its own
            shutil.copy(one(folder, f"{name}-*.bin"), one(other.folder, f"{name}-*.bin"))
        assert answers(other.folder) == right


def test_caches_newer_than_a_database_that_was_put_back_are_not_believed(folder):
    """Ids of the copy's own next rows are those of rows that only the caches know."""
    shutil.copy(folder / "gallery.db", folder.parent / "copy.db")
    with Gallery.open(folder) as gallery:
        gallery.add(vectors(600, seed=1))
        gallery.optimize()
    shutil.copy(folder.parent / "copy.db", folder / "gallery.db")
    first, later = vectors(600), vectors(600, seed=2)
    with Gallery.open(folder) as gallery:
        gallery.add(later, optimize=False)
    names = [*first.ids, *later.ids]
    best = np.argsort(-(np.concatenate([first.vectors, later.vectors]) @ later.vectors[5]))[:20]
    for optimized in (False, True):
        with Gallery.open(folder) as gallery:
            for exact in (True, None):
                hits = gallery.search(later.vectors[5], k=20, exact=exact)
                assert [hit.name for hit in hits] == [names[row] for row in best]
            if not optimized:
                gallery.optimize()
    assert len(list(folder.glob("*.bin"))) == 2


def test_an_older_cache_is_completed_from_the_database(folder):
    aside = folder.parent / "aside"
    aside.mkdir()
    for path in folder.glob("*.bin"):
        shutil.copy(path, aside)
    older = {name: described(folder, name) for name in ("vectors", "hnsw")}
    with Gallery.open(folder) as gallery:
        gallery.add(vectors(600, seed=2))
        gallery.add(Features.from_raw(["0-5"], QUERY[None], gallery.spec))
        gallery.optimize()
    right = answers(folder)
    assert right[0].name == "0-5"
    for path in folder.glob("*.bin"):
        path.unlink()
    for path in aside.iterdir():
        shutil.copy(path, folder)
    for name, about in older.items():
        described(folder, name, about)
    assert answers(folder) == right


def test_a_failed_write_leaves_the_old_cache(folder, monkeypatch):
    right = answers(folder)
    with Gallery.open(folder) as gallery:
        gallery.add(vectors(40, seed=3))

    def full(path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache, "sync_folder", full)
    with Gallery.open(folder) as gallery:
        (told,) = gallery.add(vectors(200, seed=4))  # rewrites the caches; that they don't fit harms nothing
        assert len(gallery) == 840
        assert {hit.name for hit in gallery.search(QUERY, k=840)} >= {hit.name for hit in right}
    assert not list(folder.glob("*.tmp"))
    assert len(list(folder.glob("*.bin"))) == 2
    with Gallery.open(folder, backbone=NumpyBackbone(dim=DIM)) as gallery:
        (note,) = gallery.update().notes
        assert note == told
        assert "could not be written" in note
        assert "No space left on device" in note
        assert "Nothing is lost" in note
        with pytest.raises(GalleryError, match="is full"):
            gallery.optimize()


def test_a_reader_goes_over_to_caches_that_another_process_has_written(folder):
    with Gallery.open(folder) as reader:
        assert reader.search(QUERY, k=5) == reader.search(QUERY, k=5, exact=True)
        nearest = reader.finder.nearest
        before = nearest._opened_graph(reader.finder.snapshot())
        with Gallery.open(folder) as writer:
            writer.add(vectors(600, seed=5))
        assert reader.search(QUERY, k=20) == answers(folder)[20:]
        snapshot = reader.finder.snapshot()
        assert len(snapshot.blocks) == 1, "what came since is in the file, not in memory"
        graph = nearest._opened_graph(snapshot)
        assert graph is not before
        assert (graph.rows, graph.state) == (1200, snapshot.state)


def test_a_reader_takes_a_graph_that_was_not_there_when_it_first_searched(folder):
    described(folder, "hnsw", b"")
    with Gallery.open(folder) as reader:
        reader.search(QUERY, k=5)
        assert reader.finder.nearest._opened_graph(reader.finder.snapshot()) is None
        with Gallery.open(folder) as writer:
            assert writer.optimize() == ["hnsw"]
        reader.search(QUERY, k=5)
        assert reader.finder.nearest._opened_graph(reader.finder.snapshot()) is not None
