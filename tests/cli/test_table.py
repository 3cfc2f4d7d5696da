"""The table of commands: complete, and a command that is named does not bring the others along."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from featurelens.cli.main import app
from featurelens.cli.table import COMMANDS

FOLDER = Path(__file__).resolve().parents[2] / "src" / "featurelens" / "cli"


def loaded(*words: str) -> set[str]:
    """The files of cli that a run of these words has imported."""
    code = (
        "import sys; from featurelens.cli.main import app\n"
        f"try: app({list(words)!r})\n"
        "except SystemExit: pass\n"
        "print('\\n' + ' '.join(name for name in sys.modules if name.startswith('featurelens.cli.')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return {name.rpartition(".")[2] for name in done.stdout.splitlines()[-1].split()}


def test_one_command_is_imported_without_the_others() -> None:
    words = {name.replace("-", "_") for name in COMMANDS}
    assert loaded("serve", "--help") & words == {"serve"}
    assert not loaded("--version") & words


def test_help_lists_every_command_with_its_first_line() -> None:
    page = CliRunner().invoke(app, ["--help"], terminal_width=200).output
    for name in COMMANDS:
        (line,) = [line for line in page.splitlines() if line.startswith(f"  {name} ")]
        assert len(line.removeprefix(f"  {name} ").strip()) > 20, line


@pytest.mark.parametrize("name", COMMANDS)
def test_each_name_is_a_command_of_its_own_file(name: str) -> None:
    command = get_command(app).commands[name]  # type: ignore[attr-defined]
    assert command.name == name
    assert command.callback.__module__ == f"featurelens.cli.{name.replace('-', '_')}"


def test_a_typing_error_gets_a_suggestion() -> None:
    said = CliRunner().invoke(app, ["indx"])
    assert said.exit_code == 2
    assert "'index'" in said.output
