"""What docs/text.md shows, done with an untrained CLIP for the one on the hub."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "text.md").read_text(encoding="utf-8")
pytestmark = pytest.mark.slow
NAME = "clip:Xenova/clip-vit-base-patch32"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("skimage", reason="the demo photos come with scikit-image (extra demo)")
    from featurelens.images.samples import make_samples

    folder = tmp_path_factory.mktemp("page")
    make_samples(folder / "photos", crops=2)
    return folder


def run(words: list[str], folder: Path) -> str:
    offline = os.environ | {"HF_HUB_OFFLINE": "1"}
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False, env=offline)
    assert done.returncode == 0, f"{words}\n{done.stderr}"
    return done.stdout


def test_the_commands_run_in_their_order(clip, folder: Path) -> None:
    blocks = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    assert len(lines) == 5
    featurelens = str(Path(sys.executable).with_name("featurelens"))
    for line in lines:
        words = shlex.split(line.replace(NAME, f"clip:{clip.folder}"))
        assert run([featurelens, *words[1:]], folder)
    assert (folder / "labels.csv").is_file()
    assert (folder / "featurelens-out" / "explain.png").is_file()


def test_the_python_example_runs(clip, folder: Path) -> None:
    code = "\n".join(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL))
    said = run([sys.executable, "-c", code.replace(NAME, f"clip:{clip.folder}")], folder)
    assert said.startswith("(2, 32)\n")
    assert said.rstrip().endswith("(8, 8)")
