"""Many threads on one compiled network."""

from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from featurelens.backbone import streams
from featurelens.backbone.openvino_backbone import OpenVINOBackbone
from featurelens.backbone.protocol import Spec
from featurelens.images.fit import Fit
from fixtures.onnx_nets import conv_map, conv_net

pytest.importorskip("onnx")

SPEC = Spec("conv", weights="seeded", dim=5, fit=Fit(32, 32), map_channels=5)

FIRST_CALLS_AT_ONCE = """
import sys, threading
import numpy as np
from pathlib import Path
from featurelens.backbone.openvino_backbone import OpenVINOBackbone
from featurelens.backbone.protocol import Spec
from featurelens.images.fit import Fit
sys.setswitchinterval(1e-6)
net = OpenVINOBackbone(Path(sys.argv[1]), Spec("conv", "", 5, Fit(32, 32), map_channels=5), threads=8)
together = threading.Barrier(8)
def run():
    together.wait()
    net.embed(np.zeros((1, 32, 32, 3), np.uint8))
threads = [threading.Thread(target=run) for _ in range(8)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print("done")
"""


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> OpenVINOBackbone:
    return OpenVINOBackbone(conv_net(tmp_path_factory.mktemp("net") / "net.onnx"), SPEC, threads=2)


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (40, 32, 32, 3), dtype=np.uint8)


def test_the_first_calls_of_many_threads_do_not_hang(tmp_path) -> None:
    """Without `fill_tables` this hung now and then on a loaded machine."""
    conv_net(tmp_path / "net.onnx")
    command = [sys.executable, "-c", FIRST_CALLS_AT_ONCE, str(tmp_path / "net.onnx")]
    assert subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout == "done\n"


def test_a_batch_is_spread_over_streams_and_comes_back_in_order(
    net: OpenVINOBackbone, images: np.ndarray
) -> None:
    wanted = conv_map(images, SPEC.mean, SPEC.std)
    for count in (1, 2, 3, 40):
        np.testing.assert_allclose(net.embed(images[:count]), wanted[:count].mean((2, 3)), rtol=0, atol=1e-4)
        np.testing.assert_allclose(net.maps(images[:count]), wanted[:count], rtol=0, atol=1e-4)
    assert not np.allclose(net.embed(images[::-1]), wanted.mean((2, 3)), atol=1e-2), "sabotage: other order"


def test_threads_get_their_own_answers(net: OpenVINOBackbone, images: np.ndarray) -> None:
    wanted = conv_map(images, SPEC.mean, SPEC.std).mean((2, 3))
    wrong: list[int] = []

    def run(k: int) -> None:
        for i in range(k, 40, 4):
            same = np.allclose(net.embed(images[i : i + 1])[0], wanted[i], atol=1e-4)
            wrong.extend([] if same else [i])

    threads = [threading.Thread(target=run, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_no_images_give_no_vectors(net: OpenVINOBackbone) -> None:
    none = np.empty((0, 32, 32, 3), np.uint8)
    assert net.embed(none).shape == (0, 5)
    assert net.maps(none).shape == (0, 5, 8, 8)


def test_a_graph_made_for_three_images_takes_any_number(tmp_path, images: np.ndarray) -> None:
    fixed = OpenVINOBackbone(conv_net(tmp_path / "net.onnx", batch=3), SPEC, threads=1)
    wanted = conv_map(images[:7], SPEC.mean, SPEC.std).mean((2, 3))
    for count in (1, 3, 7):
        np.testing.assert_allclose(fixed.embed(images[:count]), wanted[:count], rtol=0, atol=1e-4)


def test_pieces_of_four_have_a_graph_of_their_own(
    tmp_path, images: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is made when the first one comes, gives the same vectors, and very large networks do without."""
    wanted = conv_map(images, SPEC.mean, SPEC.std).mean((2, 3))
    file = conv_net(tmp_path / "net.onnx")
    for large, made in ((1 << 30, True), (0, False)):
        monkeypatch.setattr(streams, "_LARGE", large)
        fresh = OpenVINOBackbone(file, SPEC, threads=2)
        fresh.embed(images[:1])
        assert fresh._embedding._exact is None, "one query needs one graph"
        np.testing.assert_allclose(fresh.embed(images), wanted, rtol=0, atol=1e-4)
        assert (fresh._embedding._exact is not None) == made
        with ThreadPoolExecutor(1) as pool:
            found = pool.submit(fresh.embed, images[:11]).result()
        np.testing.assert_allclose(found, wanted[:11], rtol=0, atol=1e-4)
