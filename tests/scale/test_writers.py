"""Many writers, kill -9, torn manifests: every row once, at most the last commit lost."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from featurelens.errors import GalleryError
from featurelens.scale import durable, plan
from featurelens.scale.columns import Row
from featurelens.scale.durable import newest_first
from featurelens.scale.table import Table
from featurelens.scale.upkeep import tend
from featurelens.search import Gallery
from fixtures.drawn import draw_many, encoded
from fixtures.numpy_backbone import NumpyBackbone
from fixtures.table_add import vectors

TESTS = Path(__file__).resolve().parents[1]


def start(images: object, at: object, delay: float, unit: int) -> subprocess.Popen[str]:
    return program("fixtures.table_run", images, at, delay, unit)


def program(name: str, *words: object) -> subprocess.Popen[str]:
    env = {**os.environ, "PYTHONPATH": str(TESTS), "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-m", name, *map(str, words)]
    return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True)


def said(run: subprocess.Popen[str], word: str) -> bool:
    """Wait for a line that begins so; False if the run ends before."""
    assert run.stdout is not None
    return any(line.startswith(word) for line in run.stdout)


def end(run: subprocess.Popen[str]) -> None:
    run.kill()
    assert run.stdout is not None
    run.stdout.close()
    run.wait()


def assert_once(gallery: Gallery, count: int, skipped: list[str]) -> None:
    table = gallery.store.table.refresh()  # pyright: ignore[reportAttributeAccessIssue]
    rows = table.to_table(columns=["id", "path"], filter="status != 'counter'").to_pylist()
    assert max(Counter(row["path"] for row in rows).values()) == 1, "a path stands twice"
    assert max(Counter(row["id"] for row in rows).values()) == 1, "an id stands twice"
    assert len(gallery) == count
    assert [name for name, _ in gallery.skipped()] == skipped


@pytest.mark.parametrize(
    ("writers", "images"), [(2, 60), pytest.param(4, 5000, marks=pytest.mark.slow)], ids=["quick", "slow"]
)
def test_writers_at_once_every_row_once(tmp_path: Path, writers: int, images: int) -> None:
    photos, at = tmp_path / "photos", tmp_path / "g.lance"
    draw_many(photos, images)
    (photos / "half.png").write_bytes(encoded(1)[:80])
    Gallery.create(photos, backbone=NumpyBackbone(), at=at)
    runs = [start(photos, at, 0.0, 10 if images < 100 else 250) for _ in range(writers)]
    for run in runs:
        assert said(run, "finished")
        end(run)
    with Gallery.open(at, backbone=NumpyBackbone()) as gallery:
        assert_once(gallery, images, ["half.png"])
        assert gallery.update().unchanged == images


@pytest.mark.parametrize(
    ("writers", "own", "shared"),
    [(2, 90, 30), pytest.param(4, 4000, 1000, marks=pytest.mark.slow)],
    ids=["quick", "slow"],
)
def test_each_writer_brings_its_own_and_some_that_all_have(
    tmp_path: Path, writers: int, own: int, shared: int
) -> None:
    """The table is tended by each of them meanwhile: files put together, indexes made while others commit."""
    draw_many(tmp_path / "photos", 1)
    at = tmp_path / "g.lance"
    gallery = Gallery.create(tmp_path / "photos", backbone=NumpyBackbone(), at=at)
    runs = [
        program("fixtures.table_add", at, f"w{i}", own, shared, max(10, own // 16)) for i in range(writers)
    ]
    for run in runs:
        assert said(run, "finished")
        end(run)
    assert_once(gallery, writers * own + shared, [])
    held = gallery.features()
    expected = {f"w{i}/{n:05d}" for i in range(writers) for n in range(own)}
    assert set(held.ids) == expected | {f"shared/{n:05d}" for n in range(shared)}
    some = [held.ids[i] for i in range(0, len(held), 97)]
    raw = vectors(some, 16)
    np.testing.assert_allclose(
        held.vectors[::97], raw / np.linalg.norm(raw, axis=1, keepdims=True), atol=1e-6
    )


def test_what_another_writer_has_done_is_not_done_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "UNIT", 4)
    draw_many(tmp_path / "photos", 20)
    at = tmp_path / "g.lance"
    one, other = NumpyBackbone(), NumpyBackbone()
    first = Gallery.create(tmp_path / "photos", backbone=one, at=at)
    second = Gallery.open(at, backbone=other)

    def meanwhile(progress) -> None:
        if progress.done == 4:
            second.update(batch_size=4)

    told = []
    report = first.update(batch_size=4, on_progress=lambda p: (told.append(p.done), meanwhile(p)))
    assert other.embedded == 20
    assert one.embedded == 4, "only the unit that it was at"
    assert told[-1] == 20
    assert report.added == 4
    assert_once(first, 20, [])


def test_ids_are_given_out_once(tmp_path: Path) -> None:
    Table.create(str(tmp_path / "g.lance"), 4, {})

    def take(_: int) -> list[int]:
        table = Table(str(tmp_path / "g.lance"))
        return [table.reserve(10) for _ in range(4)]

    with ThreadPoolExecutor(4) as pool:
        taken = sorted(first for some in pool.map(take, range(4)) for first in some)
    assert taken == list(range(1, 161, 10))


def test_the_same_rows_from_two_writers_are_rows_once(tmp_path: Path) -> None:
    Table.create(str(tmp_path / "g.lance"), 4, {})

    def write(writer: int) -> int:
        table, new = Table(str(tmp_path / "g.lance")), 0
        for part in range(4):
            new += table.merge(
                [
                    Row(1000 * writer + 10 * part + i, f"{part}-{i}", 1, 1, status="skipped", reason="-")
                    for i in range(9)
                ]
            )
        return new

    with ThreadPoolExecutor(3) as pool:
        assert sum(pool.map(write, range(3))) == 36
    assert Table(str(tmp_path / "g.lance")).latest().count_rows("status = 'skipped'") == 36


@pytest.mark.parametrize("replace", [False, True])
def test_rows_of_a_table_with_indexes_are_rows_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, replace: bool
) -> None:
    """Two writers start from one version with the same new rows; beyond 10,000 rows the paths have an index."""
    at, vector = str(tmp_path / "g.lance"), np.full(4, 0.5, np.float32)
    table = Table.create(at, 4, {})
    table.merge([Row(i, f"{i:05d}", 1, 1, vector=vector) for i in range(1, 10_001)])
    assert "indexes" in tend(table)
    new = [Row(i, f"{i:05d}", 1, 1, vector=vector) for i in range(10_001, 10_301)]
    new.append(Row(10_301, "half", 1, 1, status="skipped", reason="-"))
    start = table.refresh().version
    monkeypatch.setattr(Table, "_writable", lambda self: self.refresh().checkout_version(start))
    assert [Table(at).merge(new, replace=replace) for _ in range(2)] == [301, 0]
    paths = table.refresh().to_table(columns=["path"]).column("path").to_pylist()
    assert len(set(paths)) == len(paths) == 10_302, "301 new ones, and the counter"


def test_a_unit_is_one_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw_many(tmp_path / "photos", 40)
    monkeypatch.setattr(plan, "UNIT", 20)
    gallery = Gallery.create(tmp_path / "photos", backbone=NumpyBackbone(), at=tmp_path / "g.lance")
    table = gallery.store.table  # pyright: ignore[reportAttributeAccessIssue]
    before = table.refresh().version
    gallery.update(batch_size=4)
    assert table.refresh().version == before + 3, "the ids of all, then the rows of each of two units"
    gallery.update()
    assert table.refresh().version == before + 3, "nothing new is no commit"


@pytest.mark.parametrize("kills", [3, pytest.param(20, marks=pytest.mark.slow)])
def test_killed_at_random_moments_then_run_to_the_end(tmp_path: Path, kills: int) -> None:
    photos, at = tmp_path / "photos", tmp_path / "g.lance"
    draw_many(photos / "cat", 150)
    (photos / "half.png").write_bytes(encoded(1)[:80])
    rng, committed = random.Random(kills), 0
    Gallery.create(photos, backbone=NumpyBackbone(), at=at)
    for _ in range(kills):
        run = start(photos, at, 0.02 if kills < 10 else 0.1, 4)
        assert said(run, "ready")
        said(run, "done 4")
        time.sleep(rng.uniform(0, 0.3))
        end(run)
        now = len(Gallery.open(at))
        assert now >= committed, "a kill has cost what was committed"
        committed = now
    assert 0 < committed < 150, "the kills proved nothing"
    backbone = NumpyBackbone()
    with Gallery.open(at, backbone=backbone) as gallery:
        gallery.update()
        assert backbone.embedded <= 150 - committed
        assert_once(gallery, 150, ["half.png"])


@pytest.mark.parametrize("how", ["cut", "empty", "zeros", "data file cut", "data file gone"])
def test_a_torn_last_commit_is_put_aside(tmp_path: Path, how: str) -> None:
    photos, at = tmp_path / "photos", tmp_path / "g.lance"
    draw_many(photos, 8)
    gallery = Gallery.create(photos, backbone=NumpyBackbone(), at=at)
    gallery.update()
    draw_many(photos, 3, first=8)
    before = {path.name for path in (at / "data").iterdir()}
    gallery.update()
    torn = newest_first(at)[0]
    if how.startswith("data"):
        new = [path for path in (at / "data").iterdir() if path.name not in before]
        torn = max(new, key=lambda path: path.stat().st_mtime_ns)
    whole = torn.read_bytes()
    if how.endswith("gone"):
        torn.unlink()
    else:
        torn.write_bytes(
            {"cut": whole[:-9], "empty": b"", "zeros": bytes(len(whole))}.get(how, whole[: len(whole) // 2])
        )
    told: list[str] = []
    with Gallery.open(at, backbone=NumpyBackbone(), say=told.append) as again:
        assert "cut short" in told[0]
        assert len(again) == 8, "only the last commit is lost"
        again.update()
        assert_once(again, 11, [])
    told.clear()
    with Gallery.open(at, say=told.append) as whole_again:
        assert len(whole_again) == 11
    assert told == []


def test_a_commit_is_on_the_disk_when_it_returns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lance itself syncs nothing; every file of the commits and the folders that name them are synced after it."""
    if not Path("/proc/self/fd").exists():
        pytest.skip("tells a file by its number only under Linux")
    synced: set[str] = set()
    real = os.fsync

    def noted(handle: int) -> None:
        synced.add(os.readlink(f"/proc/self/fd/{handle}"))
        real(handle)

    monkeypatch.setattr(os, "fsync", noted)
    draw_many(tmp_path / "photos", 3)
    at = tmp_path / "g.lance"
    Gallery.create(tmp_path / "photos", backbone=NumpyBackbone(), at=at).update()
    written = {str(path) for path in at.rglob("*") if path.is_file()}
    assert written - synced == set()
    assert {str(at), str(at / "data"), str(at / "_versions")} <= synced


def test_a_manifest_of_zeros_would_pass_for_an_empty_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sabotage: without the look at its end, what a power cut left is believed."""
    draw_many(tmp_path / "photos", 2)
    Gallery.create(tmp_path / "photos", backbone=NumpyBackbone(), at=tmp_path / "g.lance").update()
    torn = newest_first(tmp_path / "g.lance")[0]
    torn.write_bytes(bytes(torn.stat().st_size))
    monkeypatch.setattr(durable, "_is_whole", lambda manifest: True)
    with pytest.raises(GalleryError, match="holds no gallery"):
        Gallery.open(tmp_path / "g.lance")


def test_a_table_with_nothing_whole_left_says_so(tmp_path: Path) -> None:
    Table.create(str(tmp_path / "g.lance"), 4, {})
    for manifest in newest_first(tmp_path / "g.lance"):
        manifest.write_bytes(b"")
    with pytest.raises(GalleryError, match="cannot be read"):
        Table(str(tmp_path / "g.lance"))


def test_readers_see_new_commits_and_states_of_the_past_stay(tmp_path: Path) -> None:
    photos, at = tmp_path / "photos", tmp_path / "g.lance"
    draw_many(photos, 4)
    gallery = Gallery.create(photos, backbone=NumpyBackbone(), at=at)
    gallery.update()
    reader = Gallery.open(at, backbone=NumpyBackbone())
    number = reader.store.table.latest().version  # pyright: ignore[reportAttributeAccessIssue]
    draw_many(photos, 2, first=4)
    gallery.update()
    assert len(reader) == 6
    assert reader.search(photos / "005.png", k=1)[0].name == "005.png"
    with Gallery.open(f"{at}@{number}", backbone=NumpyBackbone()) as then:
        assert len(then) == 4
        with pytest.raises(GalleryError, match="state of the past"):
            then.update()
