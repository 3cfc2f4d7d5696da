"""What docs/see-features.md shows, done on drawn pictures with small untrained networks."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

pytest.importorskip("torch")

from typer.testing import CliRunner

from featurelens.cli.main import app
from featurelens.see.canvas import CANVASES
from featurelens.see.spoken import spoken
from fixtures.drawn import draw, draw_many

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "see-features.md").read_text(encoding="utf-8")
COMMANDS = [
    line.split("#")[0].strip()
    for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    for line in block.splitlines()
]
# The page's names in the small networks that stand in for those it names.
LAYERS = {"blocks.4:": "layer3:", "blocks.2:": "layer2:", "blocks.4": "layer3", "blocks.2": "layer2"}
FEW = {"visualize": ["--steps", "2"], "units": ["--steps", "2", "--pictures", "1"], "maps": [], "layers": []}
WRITES = {
    "visualize": "featurelens-out/visualize.npz",
    "maps": "featurelens-out/maps.png",
    "units": "photos/.featurelens/units/index.html",
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    draw_many(tmp_path / "photos", 4)
    draw(tmp_path / "photo.jpg", 9, kind="JPEG", size=(160, 160))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def small(command: str) -> list[str]:
    """The command with a small untrained network, the folder of the test, and few steps."""
    for theirs, ours in LAYERS.items():
        command = command.replace(theirs, ours)
    words = shlex.split(command.replace("~/Pictures", "photos"))[1:]
    if "--backbone" in words:
        at = words.index("--backbone")
        del words[at : at + 2]
    if "--steps" in words:
        at = words.index("--steps")
        del words[at : at + 2]
    words = [word for word in words if word != "--open"]
    device = [] if words[0] == "layers" else ["--device", "cpu"]
    return [*words, "--backbone", "test_resnet", "--no-pretrained", *device, *FEW[words[0]]]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_runs(command: str, folder: Path) -> None:
    words = small(command)
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, (done.output, done.exception)
    if words[0] in WRITES:
        assert (folder / WRITES[words[0]]).exists()
    else:
        assert "layer3" in done.stdout


def test_the_python_example_runs(folder: Path) -> None:
    code = "\n".join(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL))
    code = code.replace('"resnet18", engine', '"test_resnet", pretrained=False, engine')
    code = code.replace('images="photos")', 'images="photos", steps=2)')
    exec(compile(code, "docs/see-features.md", "exec"), {})
    assert (folder / "units.npz").exists()


def test_what_is_said_to_be_written_is_understood_and_every_canvas_is_told() -> None:
    table = re.search(r"\| written \| what \|\n(.*?)\n\n", PAGE, re.DOTALL)
    assert table
    for row in table[1].splitlines()[1:]:
        for text in re.findall(r"`([^`]+)`", row.split("|")[1]):
            assert spoken(text), text
    assert all(f"`{name}`" in PAGE for name in CANVASES)
