"""Weights that are not on this machine: what the message says, and what lies in the hub's cache is used."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from featurelens.backbone import hub, load_backbone
from featurelens.backbone.listing import list_backbones
from featurelens.errors import BackboneError
from fixtures.torch_nets import local_dir

timm = pytest.importorskip("timm")
NAME = "test_resnet.r160_in1k"


def put_into_hub(folder: Path, repo: str, tmp_path: Path) -> None:
    """A repository as the hub's client keeps it: refs/main names the snapshot."""
    made = local_dir(tmp_path / "made", "test_resnet", seed=5)
    place = folder / f"models--{repo.replace('/', '--')}"
    snapshot = place / "snapshots" / "0123456789abcdef0123456789abcdef01234567"
    snapshot.mkdir(parents=True)
    for file in made.iterdir():
        (snapshot / file.name).write_bytes(file.read_bytes())
    (place / "refs").mkdir()
    (place / "refs" / "main").write_text(snapshot.name)


def test_offline_it_says_so_and_what_to_do(empty_cache: Path) -> None:
    with pytest.raises(BackboneError) as error:
        load_backbone(NAME, engine="torch", device="cpu")
    said = str(error.value)
    assert f"The weights of '{NAME}' are not here" in said
    assert "HF_HUB_OFFLINE is set" in said
    assert f"Nothing lies in {empty_cache.parent / 'hub' / 'hub'}" in said
    assert all(way in said for way in ("HF_HOME", "local-dir:", "weights=FILE", "embedded"))


def test_without_a_network_it_says_that_within_seconds(
    empty_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE")
    for key in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(key, raising=False)
    asked: list[tuple] = []

    def nobody_answers(address: tuple, timeout: float) -> None:
        asked.append((address, timeout))
        raise OSError("Network is unreachable")

    monkeypatch.setattr(hub.socket, "create_connection", nobody_answers)
    with pytest.raises(BackboneError, match=r"could not be downloaded \(Network is unreachable\)"):
        load_backbone(NAME, engine="torch", device="cpu")
    (((_host, port), timeout),) = asked
    assert port in (80, 443)
    assert timeout <= 10


def test_what_is_cached_is_listed_and_used_without_a_network(empty_cache: Path, tmp_path: Path) -> None:
    repo = timm.get_pretrained_cfg(NAME).hf_hub_id
    put_into_hub(empty_cache.parent / "hub" / "hub", repo, tmp_path)
    assert hub.cached_networks() == [repo]
    with pytest.raises(BackboneError, match=f"On this machine are: {repo}"):
        load_backbone("test_vit.r160_in1k", engine="torch", device="cpu")
    net = load_backbone(NAME, engine="torch", device="cpu")
    same = load_backbone(f"local-dir:{tmp_path / 'made'}", engine="torch", device="cpu")
    pixels = np.zeros((1, 160, 160, 3), np.uint8)
    np.testing.assert_array_equal(net.embed(pixels), same.embed(pixels))
    ready = {one.name for one in list_backbones() if one.ready and one.source == "timm"}
    assert ready == {NAME}


def test_a_folder_without_weights_says_so_and_nothing_of_a_download(
    empty_cache: Path, tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_text('{"architecture": "test_vit"}')
    with pytest.raises(BackboneError, match=r"no weights in 'local-dir:.*Copy its model.safetensors") as told:
        load_backbone(f"local-dir:{tmp_path}", engine="torch", device="cpu")
    assert "HF_HUB_OFFLINE" not in str(told.value)


def test_a_network_without_trained_weights_says_so(empty_cache: Path) -> None:
    untrained = next(
        n for n in timm.list_models("resnet*") if not timm.list_models(f"{n}.*", pretrained=True)
    )
    with pytest.raises(BackboneError, match=f"no trained weights for '{untrained}'.*pretrained=False"):
        load_backbone(untrained, engine="torch", device="cpu")


def test_a_download_is_announced_with_size_and_licence(
    empty_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "check_reachable", lambda name: None)
    monkeypatch.setattr(timm, "create_model", _stop_at_download(timm.create_model))
    said: list[str] = []
    with pytest.raises(BackboneError, match="not here"):
        load_backbone(NAME, engine="torch", device="cpu", say=said.append)
    assert said[0].startswith(f"Downloading {NAME}: about ")
    assert "MB from timm/" in said[0]
    assert "licence apache-2.0" in said[0]


def _stop_at_download(create):
    def stopped(name: str, pretrained: bool = False, **options):
        if pretrained:
            raise OSError("stopped by the test")
        return create(name, pretrained=False, **options)

    return stopped
