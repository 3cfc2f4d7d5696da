"""What a user types: typos are told without loading torch, lists are complete, paths hold from any folder."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from featurelens.backbone import load_backbone
from featurelens.backbone.bundle import write_bundle
from featurelens.backbone.listing import list_backbones
from featurelens.backbone.offered import keep, kept, offered
from featurelens.backbone.protocol import Spec
from featurelens.errors import BackboneError, FeaturelensError, UnknownName
from featurelens.images.fit import Fit
from featurelens.search import Gallery
from fixtures.drawn import draw_many
from fixtures.onnx_nets import conv_net

NAME_IN_A_NEW_PROCESS = """
import sys
from featurelens.backbone import load_backbone
from featurelens.errors import UnknownName
try:
    load_backbone({name!r}, engine={engine!r})
except UnknownName as error:
    print(error)
print([m for m in ("torch", "timm", "torchvision", "openvino") if m in sys.modules])
"""


def typed(name: str, engine: str = "torch") -> str:
    code = NAME_IN_A_NEW_PROCESS.format(name=name, engine=engine)
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("resnte50", "resnet50"),
        ("torchvision:vgg61", "vgg16"),
        ("resnet50.a1_in1kk", "resnet50.a1_in1k"),
        ("vit_smal_patch14_dinov2.lvd142m", "vit_small_patch14_dinov2"),
    ],
)
def test_a_typo_is_told_without_loading_torch(cache: Path, name: str, meant: str) -> None:
    pytest.importorskip("timm")
    offered("timm")
    offered("torchvision")
    said = typed(name)
    assert f"'{name.removeprefix('torchvision:')}'" in said
    assert meant in said
    assert said.endswith("[]\n")


def test_the_listing_is_kept_after_the_first_use_of_a_library(empty_cache: Path) -> None:
    pytest.importorskip("timm")
    assert kept("timm") is None
    load_backbone("test_resnet", engine="torch", device="cpu", pretrained=False)
    assert kept("timm") == keep("timm")


def test_a_cut_off_listing_is_made_again(empty_cache: Path) -> None:
    pytest.importorskip("timm")
    whole = keep("timm")
    (file,) = (empty_cache / "offers").iterdir()
    file.write_bytes(file.read_bytes()[:1000])
    assert kept("timm") is None
    assert offered("timm") == whole == kept("timm")


def test_every_name_of_timm_and_torchvision_is_listed_and_known(cache: Path) -> None:
    timm = pytest.importorskip("timm")
    torchvision = pytest.importorskip("torchvision")
    listed = {one.name for one in list_backbones()}
    assert listed >= set(timm.list_models(pretrained=True))
    assert listed >= {f"torchvision:{n}" for n in torchvision.models.list_models(module=torchvision.models)}
    assert {"embedded", "classic:hog"} <= listed
    offer = offered("timm")
    built = {name.partition(".")[0] for name in offer.trained} | set(offer.untrained)
    assert built >= set(timm.list_models()) | set(timm.models.get_deprecated_models())


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("embeded", "embedded"),
        ("resnet:50", "Known: "),
        ("classic:hoog", "hog"),
        ("local-dirr:x", "local-dir"),
    ],
)
def test_unknown_names_say_what_comes_close(name: str, said: str) -> None:
    with pytest.raises(UnknownName, match=said):
        load_backbone(name)


def test_a_network_that_only_torchvision_has_is_pointed_to(cache: Path) -> None:
    pytest.importorskip("timm")
    offered("torchvision")
    with pytest.raises(UnknownName, match="torchvision:squeezenet1_1"):
        load_backbone("squeezenet1_1")


@pytest.mark.parametrize("name", ["local-dir:no/where", "onnx:no/where", "bundle:no/where"])
def test_a_path_that_is_not_there_is_named_in_full(name: str) -> None:
    with pytest.raises(FeaturelensError, match=str(Path("no/where").absolute())):
        load_backbone(name)


def bundle(folder: Path) -> None:
    spec = Spec("conv", weights="seeded", dim=5, fit=Fit(32, 32), map_channels=5)
    write_bundle(folder, spec, conv_net)


@pytest.mark.parametrize("kind", ["onnx", "bundle"])
def test_a_gallery_made_with_a_relative_path_opens_from_another_folder(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnx")
    draw_many(tmp_path / "photos", 4)
    conv_net(tmp_path / "nets" / "net.onnx")
    bundle(tmp_path / "nets" / "bundle")
    (tmp_path / "elsewhere").mkdir()
    name = {"onnx": "onnx:nets/net.onnx", "bundle": "bundle:nets/../nets/bundle"}[kind]
    monkeypatch.chdir(tmp_path)
    with Gallery.create(Path("photos"), backbone=name) as made:
        made.update()
    monkeypatch.chdir(tmp_path / "elsewhere")
    with Gallery.open(tmp_path / "photos" / ".featurelens") as gallery:
        scheme, _, path = gallery.spec.name.partition(":")
        assert (scheme, Path(path).is_absolute()) == (kind, True)
        hit = gallery.search(tmp_path / "photos" / "002.png", k=1)[0]
        assert (hit.name, round(hit.similarity, 5)) == ("002.png", 1)
    assert not list((tmp_path / "elsewhere").iterdir())


def test_the_home_folder_is_understood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnx")
    conv_net(tmp_path / "net.onnx")
    monkeypatch.setenv("HOME", str(tmp_path))
    network = load_backbone("onnx:~/net.onnx", say=lambda _: None)
    assert network.spec.name == f"onnx:{tmp_path}/net.onnx"
    assert network.embed(np.zeros((1, 32, 32, 3), np.uint8)).shape == (1, 5)


@pytest.mark.parametrize(
    ("name", "size", "why"),
    [
        ("test_vit", 150, "divisible by patch size"),
        ("vit_tiny_patch16_224", 8, "greater than actual input"),
        ("torchvision:alexnet", 32, "Output size is too small"),
    ],
)
def test_a_size_that_a_network_does_not_take_is_told_with_its_reason(name: str, size: int, why: str) -> None:
    pytest.importorskip("timm")
    said = f"'{name}' does not take images of {size} × {size}: .*{why}.*; leave size out or choose another"
    with pytest.raises(BackboneError, match=said):
        load_backbone(name, size=size, pretrained=False, engine="torch", device="cpu")
