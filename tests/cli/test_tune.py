"""`featurelens tune` and `before-after` as a user types them."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fixtures.learning import draw_classes
from fixtures.torch_nets import local_dir

COMMAND = Path(sys.executable).with_name("featurelens")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with photos/ in three classes and net/, a small network in timm's format."""
    folder = tmp_path_factory.mktemp("tune")
    draw_classes(folder / "photos", each=10)
    local_dir(folder / "net", "test_resnet")
    return folder


def run(place: Path, *words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [COMMAND, *map(str, words)], cwd=place, capture_output=True, text=True, check=False, timeout=240
    )


def test_a_dry_run_prints_the_plan_and_opens_nothing(place: Path) -> None:
    done = run(place, "tune", "photos", "-b", "local-dir:net", "--plan", "last", "--stages", "1", "--dry-run")
    assert done.returncode == 0, done.stderr
    head, *rows = done.stdout.splitlines()
    assert [word for word in ("trainable", "lr", "weight decay", "batch norm") if word not in head] == []
    assert sum(" yes " in row for row in rows) >= 2
    assert "24 images teach, 6 test" in " ".join(done.stderr.split())
    assert not (place / "photos" / ".featurelens").exists()


def test_mistakes_are_told_without_a_traceback(place: Path) -> None:
    done = run(place, "tune", "photos", "-b", "local-dir:net", "--plan", "frosen")
    assert done.returncode == 1
    assert "frozen, last, full" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_tune_then_use_what_came_out(place: Path) -> None:
    done = run(
        place, "tune", "photos", "-b", "local-dir:net", "--plan", "last", "--epochs", "2", "--out", "run", "--json",
        "--tensorboard", "events",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["scores"]["n"] == 6
    assert "epoch   2/2" in done.stderr
    assert len(list((place / "events").glob("events.out.tfevents.*"))) == 1
    indexed = run(place, "index", "photos", "-b", "bundle:run/bundle", "--json")
    assert json.loads(indexed.stdout)["images"] == 30, indexed.stderr
    explained = run(
        place, "explain", "photos/sky/01.png", "-b", "bundle:run/bundle", "--target", "sky", "--json"
    )
    assert explained.returncode == 0, explained.stderr
    assert "sky" in json.loads(explained.stdout)["target"]
    changed = run(
        place, "before-after", "photos", "--before", "local-dir:net", "--after", "bundle:run/bundle", "--other", "photos",
        "--units", "1", "--steps", "8", "--only", "run/predictions.csv", "--json",
    )  # fmt: skip
    assert changed.returncode == 0, changed.stderr
    found = json.loads(changed.stdout)
    assert {"measures", "forgetting", "layers", "units"} <= found.keys()
    assert all(0 <= one["cka"] <= 1.001 for one in found["layers"])
    assert (place / "featurelens-out" / "changes" / "changes.html").stat().st_size > 5000


@pytest.mark.slow
def test_ctrl_c_saves_and_the_same_command_goes_on(place: Path) -> None:
    command = [
        COMMAND,
        "tune",
        "photos",
        "-b",
        "local-dir:net",
        "--plan",
        "full",
        "--epochs",
        "60",
        "--out",
        "stopped",
    ]
    child = subprocess.Popen(command, cwd=place, stderr=subprocess.PIPE, text=True)
    assert child.stderr is not None
    for line in child.stderr:
        if line.startswith("epoch   2/"):
            break
    time.sleep(0.05)
    child.send_signal(signal.SIGINT)
    said = child.communicate(timeout=60)[1]
    assert child.returncode == 130, said
    assert "run the same command again" in said
    assert (place / "stopped" / "checkpoint.pt").is_file()
    again = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False, timeout=240)
    assert again.returncode == 0, again.stderr
    assert "epoch   2/60" not in again.stderr
    assert "epoch  60/60" in again.stderr
