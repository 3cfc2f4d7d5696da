"""Where words apply in an image: checked on pictures of known colours and on untrained towers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from featurelens.backbone import load_backbone
from featurelens.cli.main import app
from featurelens.errors import BackboneError, InvalidInput
from featurelens.see import text_similarity
from fixtures.worded import COLOURS, WordedBackbone


class Without(WordedBackbone):
    """The same network without a map: only covering is left."""

    def __init__(self) -> None:
        super().__init__()
        self.spec = replace(self.spec, map_channels=0)


def halves() -> np.ndarray:
    """Red on the left, blue on the right."""
    pixels = np.empty((32, 32, 3), np.uint8)
    pixels[:, :16], pixels[:, 16:] = COLOURS["red"], COLOURS["blue"]
    return pixels


@pytest.mark.parametrize(("net", "kind"), [(WordedBackbone(), "split"), (Without(), "covered")])
def test_words_light_up_what_they_name(net: WordedBackbone, kind: str) -> None:
    red, blue = (text_similarity(net, halves(), word) for word in ("red", "blue"))  # type: ignore[arg-type]
    assert red.kind == kind
    middle = red.values.shape[1] // 2
    assert (red.values[:, :middle] > red.values[:, middle:] + 1e-4).all()
    assert (blue.values[:, :middle] < blue.values[:, middle:] - 1e-4).all()


def test_a_split_sums_to_the_cosine() -> None:
    net = WordedBackbone()
    found = text_similarity(net, halves(), "a red thing")  # type: ignore[arg-type]
    image, text = net.embed(halves()[None])[0], net.embed_text(["a red thing"])[0]
    wanted = float(image @ text / np.linalg.norm(image) / np.linalg.norm(text))
    assert found.cosine == pytest.approx(wanted, abs=1e-6)
    assert found.residual == pytest.approx(0, abs=1e-6)


def test_covering_is_what_covering_by_hand_gives() -> None:
    net = Without()
    found = text_similarity(net, halves(), "red", grid=4)  # type: ignore[arg-type]
    text = net.embed_text(["red"])[0]
    pixels = halves()
    covered = pixels.copy()
    covered[8:16, 0:8] = pixels.reshape(-1, 3).mean(0).round()

    def cosine(x: np.ndarray) -> float:
        vector = net.embed(x[None])[0]
        return float(vector @ text / np.linalg.norm(vector) / np.linalg.norm(text))

    assert found.values[1, 0] == pytest.approx(cosine(pixels) - cosine(covered), abs=1e-6)


def test_siglips_map_decides_its_vector_and_clips_does_not(clip, siglip) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (80, 80, 3), dtype=np.uint8)
    by_map = text_similarity(load_backbone(f"clip:{siglip.folder}"), pixels, "dress")
    assert (by_map.kind, by_map.values.shape) == ("left out", (4, 4))
    covered = text_similarity(load_backbone(f"clip:{clip.folder}"), pixels, "dress", grid=4)
    assert (covered.kind, covered.values.shape) == ("covered", (4, 4))
    assert np.abs(covered.values).max() > 1e-4


def test_what_cannot_be_explained_is_told() -> None:
    with pytest.raises(BackboneError, match="Explaining a text needs a backbone that also takes text"):
        text_similarity(load_backbone("classic:colour"), halves(), "red")
    with pytest.raises(InvalidInput, match="empty text"):
        text_similarity(WordedBackbone(), halves(), " ")  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="grid is 1"):
        text_similarity(WordedBackbone(), halves(), "red", grid=1)  # type: ignore[arg-type]


def test_the_command_writes_picture_map_and_how(clip, tmp_path: Path) -> None:
    from PIL import Image

    Image.fromarray(halves()).save(tmp_path / "halves.png")
    words = ["explain", str(tmp_path / "halves.png"), "--text", "a red dress", "-b", f"clip:{clip.folder}"]
    done = CliRunner().invoke(app, [*words, "--out", str(tmp_path / "out.png")])
    assert done.exit_code == 0, done.output
    assert "painted over" in done.stdout
    assert np.load(tmp_path / "out.npz")["values"].shape == (8, 8)
    assert '"text": "a red dress"' in (tmp_path / "out.json").read_text()
    assert CliRunner().invoke(app, [*words, "--check"]).exit_code == 2
