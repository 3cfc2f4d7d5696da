"""The similarity of two images split over regions: a closed form, and the head itself, are the oracles."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from featurelens import load_backbone, see
from featurelens.backbone.protocol import Spec
from featurelens.errors import BackboneError
from featurelens.images import Fit
from fixtures.drawn import draw, drawing

A, B = drawing(1, (32, 32)), drawing(2, (32, 32))


class Pooled:
    """Channels of the mean colour of 8-pixel cells and their squares; the embedding is `how` of them."""

    def __init__(self, how: str = "mean") -> None:
        self._how = how
        self.streams = 1
        self.spec = Spec("pooled", "none", 6, fit=Fit(32, 32, "squash", 1.0), map_channels=6)

    def maps(self, pixels: np.ndarray) -> np.ndarray:
        cells = pixels.reshape(len(pixels), 4, 8, 4, 8, 3).mean((2, 4)) / 255.0
        return np.concatenate([cells - 0.4, cells**2], -1).transpose(0, 3, 1, 2).astype(np.float32)

    def head(self, maps: np.ndarray) -> np.ndarray:
        if self._how == "token":
            raise BackboneError("not made from the map alone")
        pooled = maps.mean((2, 3))
        return pooled if self._how == "mean" else np.tanh(4 * pooled)[:, ::-1].copy()

    def embed(self, pixels: np.ndarray) -> np.ndarray:
        if self._how == "token":
            return self.maps(pixels)[:, :, 0, 0]
        return self.head(self.maps(pixels))


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def test_for_a_mean_pooled_head_both_maps_and_the_pairs_sum_to_the_cosine() -> None:
    net = Pooled()
    found = see.similarity(net, A, B)
    maps, (a, b) = net.maps(np.stack([A, B])), net.embed(np.stack([A, B]))
    assert found.kind == "split"
    assert found.cosine == pytest.approx(cosine(a, b), abs=1e-6)
    assert np.allclose(found.residual, 0, atol=1e-6)
    assert found.pairs.sum() == pytest.approx(found.cosine, abs=1e-5)
    sizes = np.linalg.norm(a) * np.linalg.norm(b) * 16
    for row, col in ((0, 0), (2, 3)):
        assert found.a[row, col] == pytest.approx(maps[0, :, row, col] @ b / sizes, abs=1e-6)
        assert found.b[row, col] == pytest.approx(maps[1, :, row, col] @ a / sizes, abs=1e-6)
        wanted = maps[0, :, row, col] @ maps[1, :, 1, 1] / sizes / 16
        assert found.pairs[row, col, 1, 1] == pytest.approx(wanted, abs=1e-6)
    assert not np.allclose(found.a, found.a.T), "sabotage: places matter"


def test_for_another_head_regions_are_left_out_and_the_rest_is_shown() -> None:
    net = Pooled("tanh")
    found = see.similarity(net, A, B)
    maps, (a, b) = net.maps(np.stack([A, B])), net.embed(np.stack([A, B]))
    assert found.kind == "left out"
    without = maps[:1].copy().reshape(6, 16)
    without[:, 5] = np.delete(without, 5, axis=1).mean(1)
    rest = net.head(without.reshape(1, 6, 4, 4))[0]
    wanted = cosine(a, b) / 16 + (cosine(a, b) - cosine(rest, b)) * 15 / 16
    assert found.a[1, 1] == pytest.approx(wanted, abs=1e-6)
    assert found.residual[0] == pytest.approx(found.cosine - found.a.sum())
    assert abs(found.residual[0]) > 1e-4


def test_of_a_fine_map_four_neighbours_are_left_out_together() -> None:
    class Fine(Pooled):
        def maps(self, pixels: np.ndarray) -> np.ndarray:
            cells = pixels.reshape(len(pixels), 8, 4, 8, 4, 3).mean((2, 4)) / 255.0
            return np.concatenate([cells - 0.4, cells**2], -1).transpose(0, 3, 1, 2).astype(np.float32)

    net = Fine("tanh")
    found = see.similarity(net, A, B)
    maps, (a, b) = net.maps(np.stack([A, B])), net.embed(np.stack([A, B]))
    gone = np.zeros((8, 8), bool)
    gone[2:4, 4:6] = True
    without = maps[:1].copy()
    without[0][:, gone] = maps[0][:, ~gone].mean(1)[:, None]
    lost = cosine(a, b) - cosine(net.head(without)[0], b)
    assert found.a[gone].sum() == pytest.approx(cosine(a, b) / 16 + lost * 15 / 16, abs=1e-6)
    assert np.ptp(found.a[gone]) == 0
    assert np.ptp(found.a[1:3, 4:6]) > 0, "the next four are others"


def test_what_has_no_place_is_told() -> None:
    found = see.similarity(Pooled("token"), A, B)
    assert found.kind == "map only"
    means = Pooled().maps(np.stack([A, B])).mean((2, 3))
    assert found.a.sum() == pytest.approx(cosine(*means), abs=1e-6)
    assert found.residual[0] == pytest.approx(found.cosine - cosine(*means), abs=1e-6)


def test_an_image_matches_itself_region_by_region() -> None:
    found = see.similarity(Pooled(), A, A)
    assert found.cosine == pytest.approx(1)
    lines = found.lines(4)
    assert lines
    assert all(line.first == line.second for line in lines)
    assert lines[0].strength == 1
    moved = see.similarity(Pooled(), A, np.roll(A, 8, axis=1)).lines(4)
    assert all(line.second == (line.first[0], (line.first[1] + 1) % 4) for line in moved)


def test_several_hits_equal_pairs_one_by_one() -> None:
    net = Pooled("tanh")
    many = see.similarities(net, A, [B, A])
    assert np.allclose(many[0].a, see.similarity(net, A, B).a)
    assert many[1].cosine == pytest.approx(1)
    assert see.similarities(net, A, []) == []


def test_pictures_and_files(tmp_path: Path) -> None:
    for how in ("mean", "tanh", "token"):
        found = see.similarity(Pooled(how), A, B)
        written = found.save(tmp_path / f"{how}.png")
        assert np.load(written[1])["a"].shape == (4, 4)
        assert found.picture().shape[2] == 3
    assert found._repr_html_().startswith("<img")


def test_a_backbone_without_a_map_is_told_so() -> None:
    net = Pooled()
    net.spec = replace(net.spec, map_channels=0)
    with pytest.raises(BackboneError, match="gives no map"):
        see.similarity(net, A, B)


def test_the_embedded_backbone_splits_without_torch(tmp_path: Path) -> None:
    one, two = (draw(tmp_path / f"{i}.png", i, size=(128, 128)) for i in (1, 2))
    code = (
        "import sys; from featurelens import load_backbone, see; "
        f"m = see.similarity(load_backbone(threads=1), {str(one)!r}, {str(two)!r}); m.picture(); "
        "print(m.kind, m.a.shape, 'torch' in sys.modules, abs(m.residual[0]) < .5)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "left out (8, 8) False True", done.stderr


def test_the_head_after_the_map_gives_the_embedding() -> None:
    """Both engines: the map is handed on by itself, and the embedding is that of the whole network."""
    embedded = load_backbone(threads=1)
    pixels = np.stack([drawing(i, (128, 128)) for i in (1, 2)])
    whole = embedded.embed(pixels)
    found = embedded.head(embedded.maps(pixels))  # pyright: ignore[reportAttributeAccessIssue]
    assert np.abs(found - whole).max() <= 1e-5 * np.abs(whole).max()
    assert np.abs(embedded.head(0.5 * embedded.maps(pixels)[::-1]) - whole).max() > 1e-2  # pyright: ignore[reportAttributeAccessIssue]
    pixels = np.stack([drawing(i, (160, 160)) for i in (1, 2)])
    for name in ("test_resnet", "test_mambaout"):
        net = load_backbone(name, engine="torch", pretrained=False, threads=1)
        found = net.head(net.maps(pixels))  # pyright: ignore[reportAttributeAccessIssue]
        assert np.abs(found - net.embed(pixels)).max() <= 1e-4 * np.abs(found).max()
    vit = load_backbone("test_vit", engine="torch", pretrained=False, threads=1)
    with pytest.raises(BackboneError, match="cannot be made from its map alone"):
        vit.head(vit.maps(pixels))  # pyright: ignore[reportAttributeAccessIssue]
