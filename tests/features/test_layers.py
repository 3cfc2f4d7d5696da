"""Several layers of a torch network in one pass; the slow twin is a forward pass with hooks of our own."""

from __future__ import annotations

import numpy as np
import pytest

from featurelens.backbone.protocol import Spec
from featurelens.errors import InvalidInput, LayerError, SpecMismatch
from featurelens.features import Features, extract
from featurelens.images.decode import decode
from featurelens.images.fit import Fit
from fixtures.drawn import drawing
from oracles.pooled import pooled

torch = pytest.importorskip("torch")


class Net(torch.nn.Module):
    """Two convolutions, an in-place ReLU, tokens with a class token, a head."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.stem = torch.nn.Conv2d(3, 6, 3, stride=4, padding=1)
        self.act = torch.nn.ReLU(inplace=True)
        self.deep = torch.nn.Conv2d(6, 10, 3, stride=2, padding=1)
        self.cls = torch.nn.Parameter(torch.randn(1, 1, 10))
        self.mix = torch.nn.Linear(10, 12)
        self.head = torch.nn.Linear(12, 5)

    def features(self, x):
        x = self.deep(self.act(self.stem(x)))
        tokens = x.flatten(2).transpose(1, 2)
        return self.mix(torch.cat([self.cls.expand(len(x), -1, -1), tokens], 1))

    def forward(self, x):
        return self.head(self.features(x)[:, 0])


@pytest.fixture
def backbone():
    from featurelens.backbone.torch_backbone import TorchBackbone

    spec = Spec("net", weights="seed 0", dim=12, fit=Fit(32, 32, mode="squash", interpolation="bilinear"))
    return TorchBackbone(Net(), spec, features=lambda net, x: net.features(x), pool=lambda net, f: f[:, 0])


IMAGES = [drawing(i) for i in range(7)]


def outputs(backbone, name: str) -> np.ndarray:
    """What the layer gave, image by image, caught by a plain hook."""
    caught = []
    layer = backbone.module.get_submodule(name)
    handle = layer.register_forward_hook(lambda _m, _i, out: caught.append(out.detach().clone().numpy()))
    for image in IMAGES:
        pixels = decode(image, fit=backbone.spec.fit).pixels[None]
        with torch.inference_mode():
            backbone.module(backbone.normalize(backbone.prepare(pixels)))
    handle.remove()
    return np.concatenate(caught)


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.mark.parametrize("how", ["avg", "max", "gem", "flatten"])
def test_layers_pooled_in_one_pass(backbone, how):
    made = extract(IMAGES, backbone, layers=["stem", "deep"], pooling=how, batch_size=3)
    assert list(made) == ["stem", "deep"]
    for name, features in made.items():
        np.testing.assert_allclose(features.vectors, unit(pooled(outputs(backbone, name), how)), atol=1e-5)
        assert features.spec.name == f"net {name} {how}"
        assert features.spec.dim == features.vectors.shape[1]
    assert made["stem"].spec.fingerprint != made["deep"].spec.fingerprint


def test_several_poolings_come_from_one_run_of_the_network(backbone, tmp_path):
    runs: list[int] = []
    handle = backbone.module.stem.register_forward_hook(lambda *_: runs.append(1))
    options = {"layers": ["stem", "deep"], "pooling": ["avg", "max"], "store": tmp_path / "store"}
    try:
        made = extract(IMAGES, backbone, batch_size=len(IMAGES), **options)
        several = len(runs)
        extract(IMAGES, backbone, batch_size=len(IMAGES), layers=["stem", "deep"])
    finally:
        handle.remove()
    assert several == len(runs) - several
    assert list(made) == ["stem avg", "stem max", "deep avg", "deep max"]
    for how in ("avg", "max"):
        for name, alone in extract(IMAGES, backbone, layers=["stem", "deep"], pooling=how).items():
            np.testing.assert_array_equal(made[f"{name} {how}"].vectors, alone.vectors)
            assert made[f"{name} {how}"].spec == alone.spec
    with pytest.raises(SpecMismatch, match="pooling avg, max"):
        extract(IMAGES, backbone, **options | {"pooling": ["avg"]})
    with pytest.raises(InvalidInput, match="only once"):
        extract(IMAGES, backbone, pooling=["avg", "avg"])
    assert list(extract(IMAGES, backbone, pooling=["avg", "gem"])) == ["maps avg", "maps gem"]


def test_tokens_are_pooled_without_the_class_token_which_cls_takes(backbone):
    tokens = outputs(backbone, "mix")
    average = extract(IMAGES, backbone, layers=["mix"])["mix"]
    np.testing.assert_allclose(average.vectors, unit(tokens[:, 1:].mean(1)), atol=1e-5)
    first = extract(IMAGES, backbone, layers=["mix"], pooling="cls")["mix"]
    np.testing.assert_allclose(first.vectors, unit(tokens[:, 0]), atol=1e-5)
    np.testing.assert_allclose(first.vectors, extract(IMAGES, backbone).vectors, atol=1e-5)
    assert not np.allclose(first.vectors, average.vectors, atol=1e-2)


def test_a_layer_of_the_head_is_read_too(backbone):
    made = extract(IMAGES, backbone, layers=["head", "deep"])
    np.testing.assert_allclose(made["head"].vectors, unit(outputs(backbone, "head")), atol=1e-5)


def test_what_a_layer_gives_is_what_the_whole_network_makes_it_give(backbone):
    """Embedding asks timm's heads for what lies before the class scores; `layers` lists the scores."""

    class Head(torch.nn.Linear):
        def forward(self, x, scores=True):
            return super().forward(x) if scores else x

    backbone.module.head = Head(12, 5)
    backbone._pool = lambda net, f: net.head(f[:, 0], scores=False)
    made = extract(IMAGES, backbone, layers=["head"])
    np.testing.assert_allclose(made["head"].vectors, unit(outputs(backbone, "head")), atol=1e-5)


class Windows(torch.nn.Module):
    """A convolution, and one whose four windows of each image are joined with the batch, as in Swin."""

    def __init__(self, *, choosy: bool = False) -> None:
        super().__init__()
        self.conv, self.inner, self.choosy = torch.nn.Conv2d(3, 4, 4, stride=4), torch.nn.Linear(4, 6), choosy

    def forward(self, x):
        x = self.conv(x)
        if self.choosy and float(x.sum()) == 0.5:  # it cannot be run for its shapes alone
            return x
        batch, _, rows, _ = x.shape
        windows = x.reshape(batch, 4, 2, rows // 2, 2, rows // 2).permute(0, 2, 4, 3, 5, 1).flatten(3, 4)
        return self.inner(windows.flatten(0, 2)).reshape(batch, 4, -1, 6).mean((1, 2))


@pytest.mark.parametrize(
    ("choosy", "layer", "told"),
    [
        (False, "inner", r"Layer 'inner': it gives \[\d, 16, 6\] for \d images: it works on windows"),
        (True, "inner", r"Layer 'inner': it gives \[\d, 16, 6\] for \d images: it works on windows"),
        (True, "conv", r"Layer 'conv': which axes of \[1, 4, 8, 8\] are places cannot be told \(.*depend on values\)"),
    ],
)  # fmt: skip
def test_a_layer_whose_places_cannot_be_told_is_refused_with_the_reason(choosy, layer, told):
    from featurelens.backbone.torch_backbone import TorchBackbone

    spec = Spec("windows", weights="", dim=0, fit=Fit(32, 32))
    net = TorchBackbone(Windows(choosy=choosy), spec, features=lambda m, x: m(x), pool=lambda m, f: f)
    with pytest.raises(LayerError, match=told):
        extract(IMAGES, net, layers=[layer])
    if layer == "conv":
        flat = extract(IMAGES, net, layers=["conv"], pooling="flatten")["conv"]
        np.testing.assert_allclose(
            flat.vectors, unit(outputs(net, "conv").reshape(len(IMAGES), -1)), atol=1e-5
        )


def test_the_value_is_that_before_the_in_place_step(backbone):
    stem = extract(IMAGES, backbone, layers=["stem"], pooling="flatten")["stem"]
    assert (stem.vectors < 0).any()


def test_the_network_is_left_as_it_was(backbone):
    before = {name: value.clone() for name, value in backbone.module.state_dict().items()}
    extract(IMAGES, backbone, layers=["stem"])
    assert all(
        not module._forward_hooks and not module._forward_pre_hooks for module in backbone.module.modules()
    )
    assert all(torch.equal(value, before[name]) for name, value in backbone.module.state_dict().items())


def test_unknown_layers_and_impossible_poolings(backbone):
    with pytest.raises(LayerError, match="stem"):
        extract(IMAGES, backbone, layers=["stm"])
    with pytest.raises(InvalidInput, match="Layer 'deep': pooling 'cls' needs"):
        extract(IMAGES, backbone, layers=["deep"], pooling="cls")
    with pytest.raises(InvalidInput, match="only once"):
        extract(IMAGES, backbone, layers=["deep", "deep"])


def test_layers_resume_from_a_store(backbone, tmp_path):
    whole = extract(IMAGES, backbone, layers=["stem", "deep"], store=tmp_path / "store")
    again = extract(IMAGES, backbone, layers=["stem", "deep"], store=tmp_path / "store")
    for name in whole:
        np.testing.assert_array_equal(whole[name].vectors, again[name].vectors)
        np.testing.assert_array_equal(
            Features.load(tmp_path / "store", layer=name).vectors, whole[name].vectors
        )
    with pytest.raises(InvalidInput, match="Give one as layer="):
        Features.load(tmp_path / "store")
    with pytest.raises(InvalidInput, match="holds no layer 'mix'"):
        Features.load(tmp_path / "store", layer="mix")
