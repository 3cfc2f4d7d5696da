"""The same image gives the same vector on the command line, in Python, on torch, on OpenVINO, alone or in batches."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from featurelens.backbone import Backbone, load_backbone
from featurelens.features import extract
from featurelens.images.decode import decode
from featurelens.search import Gallery
from fixtures.drawn import drawing
from fixtures.torch_nets import local_dir

LEAST = 0.9999
COMMAND = Path(sys.executable).with_name("featurelens")


def cosines(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Of what is left without the mean of `b`: random transformers give all images nearly the same vector."""
    if len(b) > 1:
        a, b = a - b.mean(0), b - b.mean(0)
    return (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


def featurelens(*words: object) -> dict:
    done = subprocess.run(
        [COMMAND, *map(str, words)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten pictures: JPEGs large enough for scaled decoding, PNGs, a rotated one, grey, alpha, tall and wide."""
    folder = tmp_path_factory.mktemp("photos")
    for i, size in enumerate([(375, 500), (500, 375), (700, 900), (160, 160), (90, 300)]):
        Image.fromarray(drawing(i, size)).save(folder / f"{i}.jpg", quality=90)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(drawing(5, (300, 400))).save(folder / "rotated.jpg", exif=exif)
    Image.fromarray(drawing(6, (200, 300))).convert("L").save(folder / "grey.png")
    Image.fromarray(drawing(7, (200, 300))).convert("RGBA").save(folder / "alpha.png")
    Image.fromarray(drawing(8, (64, 48))).save(folder / "small.png")
    Image.fromarray(drawing(9, (1200, 1600))).save(folder / "large.jpg", quality=95)
    return folder


@pytest.fixture(scope="module", params=["embedded", "vit", pytest.param("mobilenet", marks=pytest.mark.slow)])
def name(request: pytest.FixtureRequest, cache: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Our own network, a real trained one, and a small transformer with random weights."""
    if request.param == "embedded":
        return "embedded"
    pytest.importorskip("timm")
    if request.param == "vit":
        return f"local-dir:{local_dir(tmp_path_factory.mktemp('vit'))}"
    return f"local-dir:{request.getfixturevalue('shared')}/weights/mobilenetv2_100.tflite_in1k"


@pytest.fixture(scope="module")
def cpu(name: str) -> Backbone:
    """The backbone as everyone gets it: on OpenVINO."""
    return load_backbone(name, device="cpu", threads=2)


@pytest.fixture(scope="module")
def sixty_four(photos: Path, cpu: Backbone) -> np.ndarray:
    """64 images: the decoded pictures, again and again, under changing brightness."""
    decoded = [decode(file, fit=cpu.spec.fit).pixels for file in sorted(photos.iterdir())]
    return np.stack([(decoded[i % 10] * (1 - i / 200)).astype(np.uint8) for i in range(64)])


def test_the_command_line_and_python_give_the_same_vectors(
    photos: Path, name: str, cpu: Backbone, tmp_path: Path
) -> None:
    place = tmp_path / "gallery"
    featurelens("index", photos, "--backbone", name, "--at", place, "--device", "cpu", "--json")
    with Gallery.open(place) as gallery:
        of_index = gallery.features()
    for batch_size in (1, 64):
        ours = extract([photos / i for i in of_index.ids], cpu, batch_size=batch_size)
        assert [Path(i).name for i in ours.ids] == [Path(i).name for i in of_index.ids]
        assert cosines(ours.vectors, of_index.vectors).min() >= LEAST
    assert cosines(ours.vectors, np.roll(of_index.vectors, 1, axis=0)).max() < LEAST, "sabotage: other images"
    found = featurelens("search", photos / "grey.png", "--gallery", place, "-k", 10, "--json")
    query = ours.vectors[[Path(i).name for i in ours.ids].index("grey.png")]
    expected = {Path(i).name: float(v @ query) for i, v in zip(ours.ids, ours.vectors, strict=True)}
    assert len(found["hits"]) == 10
    for hit in found["hits"]:
        assert hit["similarity"] == pytest.approx(expected[hit["name"]], abs=1e-4)
    assert found["hits"][0]["name"] == "grey.png"


def test_exact_decoding_agrees_with_itself(photos: Path, name: str, cpu: Backbone, tmp_path: Path) -> None:
    with Gallery.create(photos, backbone=cpu, at=tmp_path / "gallery", exact=True) as gallery:
        gallery.update()
        made = gallery.features()
    for one, vector in zip(made.ids, made.vectors, strict=True):
        alone = cpu.embed(decode(photos / one, fit=cpu.spec.fit, exact=True).pixels[None])
        assert cosines(alone, vector[None])[0] >= LEAST


def test_one_image_or_sixty_four_on_openvino(cpu: Backbone, sixty_four: np.ndarray) -> None:
    together = cpu.embed(sixty_four)
    alone = np.concatenate([cpu.embed(sixty_four[i : i + 1]) for i in range(0, 64, 5)])
    assert cosines(together[::5], alone).min() >= LEAST


def test_torch_and_openvino_agree_on_vectors_and_maps(
    name: str, cpu: Backbone, sixty_four: np.ndarray
) -> None:
    if name == "embedded":
        pytest.skip("the embedded backbone is a graph only")
    net = load_backbone(name, engine="torch", device="cpu")
    assert net.spec == cpu.spec
    wanted = net.embed(sixty_four)
    assert cosines(cpu.embed(sixty_four), wanted).min() >= LEAST
    assert cosines(net.embed(sixty_four[7:8]), wanted[7:8]).min() >= LEAST
    few = sixty_four[:4]
    assert cosines(cpu.maps(few).reshape(4, -1), net.maps(few).reshape(4, -1)).min() >= LEAST
    assert cosines(cpu.embed(few[..., ::-1]), wanted[:4]).min() < LEAST, "sabotage: BGR instead of RGB"
    assert cosines(cpu.embed(few[:, ::-1]), wanted[:4]).min() < LEAST, "sabotage: upside down"
