"""What docs/search.md shows, done in a folder of demo photos."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "search.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two crops of each of the demo photos, and a copy of one."""
    pytest.importorskip("skimage", reason="the demo photos come with scikit-image (extra demo)")
    from featurelens.images.samples import make_samples

    folder = tmp_path_factory.mktemp("page")
    make_samples(folder / "photos", crops=2)
    shutil.copy(folder / "photos/coffee/coffee-00.jpg", folder / "photos/copy.jpg")
    return folder


def test_the_commands_run_in_their_order(folder: Path) -> None:
    blocks = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    assert len(lines) == 8
    beside = Path(sys.executable).parent
    for line in lines:
        words = shlex.split(line)
        done = subprocess.run(
            [beside / words[0], *words[1:]], cwd=folder, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{line}\n{done.stderr}"
        assert done.stdout
        if "duplicates" in words:
            assert "copy.jpg" in done.stdout
    assert "copy.jpg" in (folder / "copies.csv").read_text()


def test_the_python_example_runs(folder: Path) -> None:
    code = "\n".join(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL))
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "exact ['coffee/coffee-00.jpg', 'copy.jpg'] ('keep', 'same bytes')" in done.stdout
