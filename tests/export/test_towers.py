"""An OpenCLIP model as a clip: folder: the same vectors for images and texts, without torch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("open_clip", reason="needs open_clip (extra text)")

from featurelens.backbone import load_backbone
from featurelens.backbone.protocol import with_text
from featurelens.errors import BackboneError
from featurelens.export import export
from fixtures.clip_nets import openclip_folder

pytestmark = pytest.mark.slow
TEXTS = ["a red dress", "", "👗 " * 90]
ALONE = """
import sys
sys.modules["torch"] = sys.modules["open_clip"] = None
from featurelens import load_backbone
net = load_backbone(sys.argv[1], threads=1)
print(net.embed_text(["a red dress"]).shape, net.spec.map_channels)
"""


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("towers")
    openclip_folder(folder / "made")
    found = export(f"openclip:{folder / 'made'}", folder / "clip", to="clip", say=lambda text: None)
    assert found.parity.cosine > 0.9999
    return folder / "made", folder / "clip"


def test_both_towers_give_the_vectors_of_torch(written: tuple[Path, Path]) -> None:
    made, folder = written
    torchs = with_text(load_backbone(f"openclip:{made}", engine="torch", device="cpu"), "")
    ours = with_text(load_backbone(f"clip:{folder}", threads=1), "")
    assert (ours.spec.fit, ours.spec.dim) == (torchs.spec.fit, torchs.spec.dim)
    np.testing.assert_allclose(
        [ours.spec.mean, ours.spec.std], [torchs.spec.mean, torchs.spec.std], atol=1e-9
    )
    pixels = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), dtype=np.uint8)
    np.testing.assert_allclose(ours.embed(pixels), torchs.embed(pixels), rtol=0, atol=1e-4)
    np.testing.assert_allclose(ours.maps(pixels), torchs.maps(pixels), rtol=0, atol=1e-3)
    np.testing.assert_allclose(ours.embed_text(TEXTS), torchs.embed_text(TEXTS), rtol=0, atol=1e-4)


def test_the_folder_needs_neither_torch_nor_open_clip(written: tuple[Path, Path]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", ALONE, f"clip:{written[1]}"], capture_output=True, text=True, check=False
    )
    assert done.stdout == "(1, 32) 64\n", done.stderr


def test_a_network_of_images_only_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("timm")
    with pytest.raises(BackboneError, match="has only images"):
        export("test_vit", tmp_path / "out", to="clip", pretrained=False)
    assert not (tmp_path / "out").exists()
