"""Local weights: safetensors and plain state dicts are read; pickles that could run code are refused."""

from __future__ import annotations

import json
import os
import shutil
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest

from featurelens.backbone import load_backbone
from featurelens.errors import BackboneError
from fixtures.torch_nets import local_dir

torch = pytest.importorskip("torch")
timm = pytest.importorskip("timm")
pytest.importorskip("safetensors")

NAME = "test_resnet"


class Trap:
    """A pickle of this makes a file when it is opened."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.file),)


@pytest.fixture(scope="module")
def weights() -> dict:
    torch.manual_seed(7)
    return timm.create_model(NAME).state_dict()


def load(file: Path | str, **options):
    return load_backbone(NAME, engine="torch", device="cpu", weights=file, **options)


def save_safetensors(weights: dict, file: Path) -> Path:
    from safetensors.torch import save_file

    save_file(weights, file)
    return file


FORMS = {
    "safetensors": (save_safetensors, "w.safetensors"),
    "plain": (torch.save, "w.pth"),
    "in a checkpoint": (lambda w, f: torch.save({"epoch": 3, "state_dict": w}, f), "w.pt"),
    "of DataParallel": (
        lambda w, f: torch.save(OrderedDict((f"module.{k}", v) for k, v in w.items()), f),
        "w.pth",
    ),
    "of torch.compile": (lambda w, f: torch.save({f"_orig_mod.{k}": v for k, v in w.items()}, f), "w.pth"),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_usual_form_is_read(form: str, weights: dict, tmp_path: Path) -> None:
    write, name = FORMS[form]
    write(weights, tmp_path / name)
    net = load(str(tmp_path / name))
    assert all(torch.equal(value, weights[key]) for key, value in net.module.state_dict().items())
    assert (
        net.spec.weights != load_backbone(NAME, engine="torch", device="cpu", pretrained=False).spec.weights
    )


@pytest.mark.parametrize("inside", [lambda t, w: t, lambda t, w: {"state_dict": w, "config": t}])
def test_a_pickle_that_holds_more_than_weights_is_refused_and_not_run(
    weights: dict, tmp_path: Path, inside
) -> None:
    torch.save(inside(Trap(tmp_path / "sprung"), weights), tmp_path / "w.pth")
    with pytest.raises(BackboneError, match=r"w\.pth is refused: .*could run code.*safetensors"):
        load(tmp_path / "w.pth")
    assert not (tmp_path / "sprung").exists()
    torch.load(tmp_path / "w.pth", weights_only=False)
    assert (tmp_path / "sprung").is_dir(), "sabotage: opened without care, the trap springs"


def test_a_pickle_in_a_local_folder_is_refused_too(tmp_path: Path, empty_cache: Path) -> None:
    local_dir(tmp_path / "net", NAME)
    (tmp_path / "net" / "model.safetensors").unlink()
    torch.save(Trap(tmp_path / "sprung"), tmp_path / "net" / "pytorch_model.bin")
    with pytest.raises(BackboneError, match="refused"):
        load_backbone(f"local-dir:{tmp_path / 'net'}", engine="torch", device="cpu")
    assert not (tmp_path / "sprung").exists()


def test_weights_of_another_network_are_told_apart(tmp_path: Path, weights: dict) -> None:
    torch.save(timm.create_model("test_vit").state_dict(), tmp_path / "vit.pth")
    with pytest.raises(BackboneError, match=r"do not fit ResNet \(0 of \d+ names agree\): .*missing, e\.g\."):
        load(tmp_path / "vit.pth")
    fewer = {key: value for key, value in weights.items() if key != "conv1.0.weight"}
    torch.save(fewer | {"surplus": torch.ones(1)}, tmp_path / "fewer.pth")
    with pytest.raises(
        BackboneError, match=r"1 missing, e\.g\. conv1\.0\.weight; 1 not known to it, e\.g\. surplus"
    ):
        load(tmp_path / "fewer.pth")
    torch.save(weights | {"fc.weight": torch.ones(10, 96)}, tmp_path / "ten.pth")
    with pytest.raises(BackboneError, match=r"fc\.weight \(10, 96\) instead of \(1000, 96\).*classes"):
        load(tmp_path / "ten.pth")


@pytest.mark.parametrize("name", ["w.safetensors", "w.pth"])
@pytest.mark.parametrize("state", ["missing", "empty", "cut", "text"])
def test_damaged_files_are_named(name: str, state: str, weights: dict, tmp_path: Path) -> None:
    file = tmp_path / name
    (save_safetensors if name.endswith("tensors") else torch.save)(weights, file)
    whole = file.read_bytes()
    file.write_bytes(
        {"empty": b"", "cut": whole[: len(whole) // 2], "text": b"<html>404</html>" * 9}.get(state, b"")
    )
    if state == "missing":
        file.unlink()
    with pytest.raises(BackboneError, match=rf"{name}") as error:
        load(file)
    assert "There is no weights file" in str(error.value) or "damaged" in str(error.value)


def test_no_state_dict_at_all(tmp_path: Path) -> None:
    torch.save([torch.ones(3)], tmp_path / "w.pth")
    with pytest.raises(BackboneError, match="holds no state dict"):
        load(tmp_path / "w.pth")


def test_a_scalar_kept_as_a_vector_of_one_is_read(tmp_path: Path, weights: dict) -> None:
    old = {k: v.reshape(1) if k.endswith("num_batches_tracked") else v for k, v in weights.items()}
    assert np.isfinite(load(save_safetensors(old, tmp_path / "w.safetensors")).embed(_black())).all()


def test_a_local_folder_says_what_it_lacks(tmp_path: Path, empty_cache: Path) -> None:
    folder = local_dir(tmp_path / "net", NAME)

    def failure() -> str:
        with pytest.raises(BackboneError) as error:
            load_backbone(f"local-dir:{folder}", engine="torch", device="cpu")
        return str(error.value)

    (folder / "model.safetensors").write_bytes(b"cut")
    assert "damaged" in failure()
    (folder / "model.safetensors").unlink()
    assert str(folder) in failure()
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"architecture": "resnte50"}))
    assert "resnte50" in failure()
    told = config["pretrained_cfg"]
    for wrong, what in (
        ([], "names no timm architecture"),
        (
            {"model_type": "vit", "architectures": ["ViTModel"]},
            "transformers' own folders are of another kind",
        ),
        (config | {"pretrained_cfg": None}, "pretrained_cfg holds no settings"),
        (
            config | {"pretrained_cfg": told | {"input_size": "224"}},
            "input_size is 224; expected three numbers above 0",
        ),
        (config | {"pretrained_cfg": told | {"mean": [0.5]}}, r"mean is [0.5]; expected three numbers"),
        (
            config | {"pretrained_cfg": told | {"std": [0, 0, 0]}},
            "std is [0, 0, 0]; expected three numbers above 0",
        ),
    ):
        (folder / "config.json").write_text(json.dumps(wrong))
        assert what in failure()
    (folder / "config.json").write_text("{")
    assert "config.json" in failure()
    (folder / "config.json").unlink()
    assert "there is no config.json in it" in failure()
    shutil.rmtree(folder)
    assert "it is no folder" in failure()


def _black() -> np.ndarray:
    return np.zeros((1, 160, 160, 3), np.uint8)
