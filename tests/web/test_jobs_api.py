"""Long work: progress as events, search meanwhile, cancel, go on, and what a failure says."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import httpx
import numpy as np
import pytest

from featurelens.features import Features
from featurelens.search import Gallery
from featurelens.web.app import make_app
from featurelens.web.jobs import Jobs
from fixtures.drawn import draw, draw_many
from fixtures.numpy_backbone import NumpyBackbone
from fixtures.served import called, wait_for
from fixtures.serving import serving

FILES = 160


@pytest.fixture
def slow(tmp_path: Path):
    """An empty gallery of 160 images whose network takes its time, behind a port."""
    photos = tmp_path / "photos"
    draw_many(photos / "cat", FILES)
    gallery = Gallery.create(photos, backbone=NumpyBackbone(delay=0.01, streams=1), at=tmp_path / "gallery")
    with serving(make_app(gallery)) as address, httpx.Client(base_url=address, timeout=30) as client:
        yield client, gallery, tmp_path


def start(client: httpx.Client, kind: str = "index") -> dict:
    answer = client.post("/api/v1/jobs", json={"kind": kind})
    assert answer.status_code == 202, answer.text
    return answer.json()


def events(client: httpx.Client, job: dict):
    with client.stream("GET", f"/api/v1/jobs/{job['id']}/events") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        for line in stream.iter_lines():
            if line.startswith("data: "):
                yield json.loads(line.removeprefix("data: "))


def test_search_works_on_what_is_indexed_while_the_rest_comes(slow):
    client, gallery, _ = slow
    seen, found = [], []
    for event in events(client, start(client)):
        seen.append(event)
        images = client.get("/api/v1/images", params={"limit": 1000}).json()
        assert images["total"] >= event["done"] > -1 or event["state"] != "running"
        if images["total"]:
            one = images["images"][0]["id"]
            hits = client.post("/api/v1/search", json={"ids": [one], "k": 5}).json()["hits"]
            assert hits[0]["id"] == one
            found.append(images["total"])
    assert [event["state"] for event in (seen[0], seen[-1])] == ["running", "done"]
    done = [event["done"] for event in seen]
    assert done == sorted(done)
    assert done[-1] == seen[-1]["total"] == FILES
    assert len(set(found)) >= 3, "nothing could be searched before the end"
    assert any(event["rate"] and event["left_s"] for event in seen[1:-1])
    assert seen[-1]["result"]["added"] == FILES
    assert len(gallery) == FILES


def test_cancel_keeps_what_is_done_and_the_next_run_goes_on(slow):
    client, gallery, _ = slow
    job = start(client)
    wait_for(lambda: 32 <= client.get(f"/api/v1/jobs/{job['id']}").json()["done"] < FILES)
    assert client.delete(f"/api/v1/jobs/{job['id']}").status_code == 202
    last = list(events(client, job))[-1]
    assert last["state"] == "cancelled"
    kept = len(gallery)
    assert 32 <= kept < FILES
    first_ids = {hit.name: hit.id for hit in gallery.images()}
    assert list(events(client, start(client)))[-1]["result"]["added"] == FILES - kept
    assert len(gallery) == FILES
    assert first_ids.items() <= {hit.name: hit.id for hit in gallery.images()}.items()


def test_one_job_of_a_kind_at_a_time(slow):
    client, _, _ = slow
    job = start(client)
    again = client.post("/api/v1/jobs", json={"kind": "index"})
    assert (again.status_code, again.json()["id"]) == (200, job["id"])
    other = start(client, "duplicates")
    assert [one["id"] for one in client.get("/api/v1/jobs").json()["jobs"]] == [other["id"], job["id"]]
    assert client.get("/api/v1/gallery").json()["indexing"]["id"] == job["id"]
    client.delete(f"/api/v1/jobs/{job['id']}")


def test_another_writer_is_named(slow):
    client, gallery, _ = slow
    from featurelens.features.lock import WriterLock
    from featurelens.search.place import LOCK

    with WriterLock(gallery.folder / LOCK):
        last = list(events(client, start(client)))[-1]
    assert last["state"] == "failed"
    assert f"process {os.getpid()}" in last["message"]
    assert list(events(client, start(client)))[-1]["state"] == "done"


def test_unknown_jobs_and_kinds(client):
    assert client.get("/api/v1/jobs/none").status_code == 404
    assert client.delete("/api/v1/jobs/none").status_code == 404
    assert client.get("/api/v1/jobs/none/events").status_code == 404
    assert client.post("/api/v1/jobs", json={"kind": "rm -rf"}).status_code == 422


def test_a_job_that_breaks_tells_its_watchers():
    jobs = Jobs()

    def breaks(report):
        report(1, 2)
        raise ZeroDivisionError("by zero")

    job, new = jobs.start("odd", breaks)
    wait_for(lambda: not job.running)
    assert (new, job.state, job.done) == (True, "failed", 1)
    assert "by zero" in (job.message or "")
    jobs.close()


def test_closing_stops_what_runs():
    jobs, begun = Jobs(), threading.Event()

    def endless(report):
        while True:
            report(0, None)
            begun.set()

    job, _ = jobs.start("endless", endless)
    begun.wait(10)
    jobs.close()
    assert job.state == "cancelled"


def test_duplicates_are_listed_and_exported(tmp_path: Path):
    photos = tmp_path / "photos"
    draw_many(photos, 8)
    draw(photos / "=copy.png", 3)
    gallery = Gallery.create(photos, backbone=NumpyBackbone())
    gallery.update()
    with called(make_app(gallery)) as client:
        assert client.get("/api/v1/duplicates").json() == {"made": None, "groups": []}
        job = client.post("/api/v1/jobs", json={"kind": "duplicates"}).json()
        wait_for(lambda: client.get(f"/api/v1/jobs/{job['id']}").json()["state"] == "done")
        told = client.get("/api/v1/duplicates").json()
        group = next(one for one in told["groups"] if one["kind"] == "exact")
        assert {one["name"] for one in group["members"]} == {"003.png", "=copy.png"}
        table = client.get("/api/v1/duplicates.csv")
        assert table.headers["content-disposition"].startswith("attachment")
        assert "'=copy.png" in table.text, "a spreadsheet would take the name for a formula"
    with called(make_app(photos)) as client:  # the list outlives the server
        assert client.get("/api/v1/duplicates").json()["made"] == told["made"]


def test_the_map_comes_at_once_and_better_later(tmp_path: Path):
    pytest.importorskip("openTSNE", reason="the better layout needs the extra maps")
    photos = tmp_path / "photos"
    draw_many(photos / "cat", 20)
    draw_many(photos / "dog", 20, first=20)
    gallery = Gallery.create(photos, backbone=NumpyBackbone())
    gallery.update()
    with called(make_app(gallery)) as client:
        quick = client.get("/api/v1/layout").json()
        assert (quick["method"], quick["ready"], quick["missing"]) == ("pca", False, 0)
        assert sorted(quick["ids"]) == sorted(hit.id for hit in gallery.images())
        assert client.get("/api/v1/layout?method=opentsne").status_code == 422
        job = client.post("/api/v1/jobs", json={"kind": "layout"}).json()
        wait_for(lambda: client.get(f"/api/v1/jobs/{job['id']}").json()["state"] == "done")
        better = client.get("/api/v1/layout").json()
        assert (better["method"], better["ready"]) == ("opentsne", True)
        assert max(map(abs, better["x"] + better["y"])) <= 1
        assert {*better["label"]} == {"cat", "dog"}
        assert client.get("/api/v1/layout?method=pca").json()["x"] == quick["x"]
        vectors = np.eye(16, dtype=np.float32)[:1]
        gallery.add(Features(("new.png",), vectors, gallery.spec))
        assert client.get("/api/v1/layout").json()["missing"] == 1


def images_at(address: str) -> int:
    return httpx.get(f"{address}api/v1/gallery", timeout=30).json()["images"]


@pytest.mark.slow
def test_a_killed_server_loses_nothing(tmp_path: Path):
    """kill -9 in the middle of indexing: the next server goes on where the commits ended."""
    photos = tmp_path / "photos"
    draw_many(photos, 400)
    Gallery.create(photos, backbone="classic:hog").close()
    command = [sys.executable, "-m", "featurelens", "serve", str(photos), "--port", "0"]
    for least, how in ((1, signal.SIGKILL), (400, signal.SIGINT)):
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ) as server:
            assert server.stdout is not None
            address = server.stdout.readline().strip()
            wait_for(lambda at=address, least=least: images_at(at) >= least, 60)
            server.send_signal(how)
        assert server.returncode in (-signal.SIGKILL, 0, 130)
    with Gallery.open(photos) as gallery:
        assert len(gallery) == 400
        assert len({hit.name for hit in gallery.images()}) == 400
