"""What docs/see-attribution.md shows, done on drawn pictures with small untrained networks."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from featurelens.cli.main import app
from featurelens.see.baselines import BASELINES
from featurelens.see.methods import METHODS
from fixtures.drawn import draw

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "see-attribution.md").read_text(encoding="utf-8")
COMMANDS = [
    line.split("#")[0].strip()
    for block in re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL)
    for line in block.splitlines()
]


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for seed, name in enumerate(("IMAGE", "OTHER", "HIT 1", "HIT 2")):
        draw(tmp_path / name, seed, size=(160, 160))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_runs(command: str, files: Path) -> None:
    words = shlex.split(command.replace("layer=layer2", "layer=layer3"))[1:]
    if "--backbone" in words:
        at = words.index("--backbone") + 1
        words[at] = "test_vit" if words[at].startswith("vit") else "test_resnet"
        words += ["--no-pretrained", "--device", "cpu"]
    if "integrated-gradients" in words:
        words += ["--set", "steps=2", "--set", "max_steps=2"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, (done.output, done.exception)
    assert "explain.npz" in done.stdout or "match.npz" in done.stdout
    found = [p.relative_to(files).as_posix() for p in files.rglob("*.png")]
    assert found in (["featurelens-out/explain.png"], ["match.png"])


def test_the_python_examples_run(files: Path) -> None:
    code = "\n".join(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL))
    code = code.replace('"resnet18", engine', '"test_resnet", pretrained=False, engine')
    code = code.replace('method="integrated-gradients"', 'method="integrated-gradients", max_steps=8')
    names: dict[str, object] = {}
    exec(compile(code, "docs/see-attribution.md", "exec"), names)
    assert np.load(files / "match.npz")["a"].shape == (8, 8)


def test_every_method_and_baseline_is_explained() -> None:
    assert all(f"`{name}`" in PAGE for name in METHODS)
    assert all(name in PAGE for name in BASELINES if name in ("black", "blur"))


def test_wrong_usage_is_told(files: Path) -> None:
    for words, code, said in (
        (["explain", "IMAGE", "--method", "similarity"], 2, "--against"),
        (["explain", "IMAGE", "--against", "OTHER", "--target", "3"], 2, "not"),
        (["explain", "IMAGE", "--out", "map.jpg"], 2, ".png"),
        (["explain", "IMAGE", "--against", "OTHER", "--check"], 2, "--check"),
    ):
        done = CliRunner().invoke(app, words)
        assert done.exit_code == code
        assert said in done.output
    failed = CliRunner().invoke(app, ["explain", "IMAGE", "--backbone", "embedded"])
    assert "engine='torch'" in str(failed.exception)
