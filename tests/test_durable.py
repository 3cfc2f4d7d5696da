"""Folders that are replaced: killed at any step, the old one or the new one is whole at the next write."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from featurelens.durable import write_folder

WRITERS = {
    "folder": """
from featurelens.durable import write_folder
def write(folder, text):
    write_folder(folder, lambda part: (part / "content").write_text(text))
""",
    "bundle": """
from featurelens.backbone.bundle import write_bundle
from featurelens.backbone.protocol import Spec
from featurelens.images.fit import Fit
def write(folder, text):
    write_bundle(folder, Spec("n", "w", 5, Fit(32, 32)), lambda file: file.write_text(text))
""",
    "fused": """
from featurelens.backbone.fused import write as fuse
def write(folder, text):
    fuse(folder, [], lambda file: file.write_text(text), fusion="concat")
""",
}
KILLED = """
import os, shutil, sys
from pathlib import Path
{writer}
folder = Path(sys.argv[1])
write(folder, "old")
for at in range(9):
    calls = []
    def killer(real):
        def call(*args, **kwargs):
            calls.append(real)
            return os._exit(0) if len(calls) == at + 1 else real(*args, **kwargs)
        return call
    child = os.fork()
    if not child:
        os.rename, shutil.rmtree = killer(os.rename), killer(shutil.rmtree)
        write(folder, "new")
        os._exit(1)
    survived = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    def fail(text):
        raise OSError("disk full")
    class Full:
        encode = __str__ = fail
    try:
        write(folder, Full())  # the next write, which fails, too
    except (OSError, TypeError):
        pass
    print(at, sorted(one.read_text() for one in folder.iterdir() if one.suffix != ".json"))
    if survived:
        break
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills a copy of a process (fork)")
@pytest.mark.parametrize("kind", WRITERS)
def test_a_kill_at_any_step_leaves_the_old_or_the_new(tmp_path: Path, kind: str) -> None:
    code = KILLED.format(writer=WRITERS[kind])
    command = [sys.executable, "-W", "ignore", "-c", code, str(tmp_path / "kept")]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert len(told) >= 4, "a write takes two renames and a removal at least"
    assert {line[2:] for line in told} == {"['old']", "['new']"}
    assert told[-1].endswith("['new']"), "and the last one was not killed"


def test_what_another_write_left_aside_is_its_own_and_goes_once_the_new_is_there(tmp_path: Path) -> None:
    long = "n" * 60
    for name in ("a", "a.b", long + "1", long + "2"):
        write_folder(tmp_path / name, lambda part, name=name: (part / name).touch())
    (tmp_path / "a").rename(tmp_path / ".a.01234567.old")
    write_folder(tmp_path / "a.b", lambda part: None)
    assert (tmp_path / ".a.01234567.old").is_dir()
    shutil.copytree(tmp_path / ".a.01234567.old", tmp_path / "a")
    write_folder(tmp_path / "a", lambda part: None)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["a", "a.b", long + "1", long + "2"]
    with pytest.raises(OSError, match="disk full"):
        write_folder(tmp_path / (long + "1"), fail)
    assert (tmp_path / (long + "1") / (long + "1")).is_file()


def fail(part: Path) -> None:
    raise OSError("disk full")


def test_a_folder_that_another_process_puts_there_in_between_is_replaced_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename, done = os.rename, []

    def late(source: Path, target: Path) -> None:
        if target == tmp_path / "a" and not done:
            done.append(True)
            shutil.copytree(source, target)
        rename(source, target)

    monkeypatch.setattr(os, "rename", late)
    write_folder(tmp_path / "a", lambda part: (part / "new").touch())
    assert [one.name for one in tmp_path.rglob("*")] == ["a", "new"]
    assert done
