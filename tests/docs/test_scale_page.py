"""What docs/scale.md shows, done in a folder of demo photos; all but the cluster and Qdrant."""

from __future__ import annotations

import ast
import io
import os
import re
import shlex
import subprocess
import sys
import tarfile
from importlib.util import find_spec
from pathlib import Path

import pytest

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


def test_the_recipe_for_qdrant_is_at_least_python() -> None:
    (recipe,) = re.findall(r"```py\n(.*?)```", PAGE, re.DOTALL)
    ast.parse(recipe)
    assert "Not run against a real cluster" in PAGE
