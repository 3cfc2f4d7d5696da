"""What docs/scale.md shows, done in a folder of demo photos; all but the cluster."""

from __future__ import annotations

import io
import os
import re
import shlex
import subprocess
import sys
import tarfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from fixtures.drawn import draw_many, encoded

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "scale.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo photos as files, in a tar shard, in a Parquet file."""
    pytest.importorskip("skimage", reason="the demo photos come with scikit-image (extra demo)")
    if find_spec("lance") is None:
        pytest.skip("tables need pylance (extra scale)")
    import pyarrow as pa
    import pyarrow.parquet as pq

    from featurelens.images.samples import make_samples

    folder = tmp_path_factory.mktemp("page")
    make_samples(folder / "photos", crops=2)
    paths = sorted((folder / "photos").glob("c*/*.jpg"))
    (folder / "shards").mkdir()
    with tarfile.open(folder / "shards" / "0.tar", "w") as tar:
        for path in paths:
            info = tarfile.TarInfo(path.name)
            info.size = path.stat().st_size
            tar.addfile(info, io.BytesIO(path.read_bytes()))
    pq.write_table(pa.table({"image": [path.read_bytes() for path in paths]}), folder / "photos.parquet")
    return folder


def run(command: list[str | Path], folder: Path) -> str:
    env = os.environ | {"FEATURELENS_CACHE": str(folder / "cache")}
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=env)
    assert done.returncode == 0, f"{command}\n{done.stderr}"
    return done.stdout


@pytest.mark.slow
def test_the_page_runs_in_its_order(folder: Path) -> None:
    blocks = re.findall(r"```(sh|python)\n(.*?)```", PAGE, re.DOTALL)
    lines = [line for kind, block in blocks if kind == "sh" for line in block.splitlines()]
    assert len(lines) == 9
    for line in lines:
        if "--on ray" in line:
            continue  # tests/scale/test_ray.py has a real cluster
        words = shlex.split(line)
        said = run([Path(sys.executable).with_name(words[0]), *words[1:]], folder)
        if "search" in words:
            assert "coffee" in said.splitlines()[1], said
    (code,) = (block for kind, block in blocks if kind == "python")
    said = run([sys.executable, "-c", code], folder)
    assert "classic:colour [" in said
    assert "classic:hog [" in said
    assert said.splitlines()[-1] == "['embedded', 'colour', 'monday']"


def test_the_recipe_for_qdrant_finds_what_the_gallery_finds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through Qdrant's own client, in whose local mode no server is asked."""
    client = pytest.importorskip("qdrant_client")
    if find_spec("lance") is None:
        pytest.skip("tables need pylance (extra scale)")
    from featurelens import Gallery

    draw_many(tmp_path / "photos" / "cat", 12)
    table = str(tmp_path / "photos.lance")
    with Gallery.create(tmp_path / "photos", at=table, backbone="classic:colour") as gallery:
        gallery.update()
        expected = gallery.search(encoded(7), k=3)
        query = gallery.vector(encoded(7)).tolist()
    real = client.QdrantClient
    monkeypatch.setattr(client, "QdrantClient", lambda url: real(":memory:"))
    (recipe,) = re.findall(r"```py\n(.*?)```", PAGE, re.DOTALL)
    names: dict[str, Any] = {}
    exec(recipe.replace("s3://bucket/photos.lance", table), names)
    found = names["client"].query_points("photos", query=query, limit=3).points
    names["client"].close()
    assert [one.id for one in found] == [hit.id for hit in expected]
    assert [one.payload for one in found] == [{"name": hit.name, "label": "cat"} for hit in expected]
    assert [one.score for one in found] == pytest.approx([hit.similarity for hit in expected], abs=1e-4)
    assert "Not run against a real cluster" in PAGE
