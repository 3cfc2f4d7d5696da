"""`see.explain`: every method on small networks, targets, errors, and a network that is left as it was."""

from __future__ import annotations

import io
import re
import weakref
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from featurelens import load_backbone, see
from featurelens.backbone.torch_backbone import TorchBackbone
from featurelens.cli import terminal
from featurelens.cli.main import app
from featurelens.errors import BackboneError, ImageError, InvalidInput, LayerError, UnknownName
from featurelens.images.decode import decode
from featurelens.see import read_pixels
from featurelens.see.class_names import class_names
from featurelens.see.methods import METHODS
from featurelens.see.reading import EMBEDDING
from fixtures.drawn import draw, drawing
from fixtures.numpy_backbone import NumpyBackbone
from fixtures.small_nets import small_net

QUICK = {
    "integrated-gradients": {"steps": 4, "max_steps": 4},
    "smoothgrad": {"samples": 2},
    "occlusion": {"window": 80},
}
IMAGE, OTHER = drawing(1, (160, 160)), drawing(2, (160, 160))


def loaded(name: str) -> TorchBackbone:
    net = load_backbone(name, engine="torch", device="cpu", pretrained=False, threads=1)
    assert isinstance(net, TorchBackbone)
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net.module.get_classifier().weight.normal_()  # pyright: ignore[reportCallIssue]
    return net


@pytest.fixture(scope="module")
def cnn() -> TorchBackbone:
    return loaded("test_resnet")


@pytest.fixture(scope="module")
def vit() -> TorchBackbone:
    return loaded("test_vit")


@pytest.mark.parametrize("method", METHODS)
def test_every_method_gives_a_map_a_score_and_a_picture(
    vit: TorchBackbone, method: str, tmp_path: Path
) -> None:
    found = see.explain(vit, IMAGE, method=method, **QUICK.get(method, {}))
    logits = vit.logits(vit.normalize(vit.prepare(found.pixels[None])))[0].detach()
    assert found.target.endswith(f"class {int(logits.argmax())})")
    assert found.score == pytest.approx(float(logits.max()), rel=1e-4)
    assert found.values.std() > 0
    assert np.isfinite(found.values).all()
    assert found.channels is None or found.channels.shape == (3, 160, 160)
    png, npz, how = found.save(tmp_path / "map.png")
    assert np.array_equal(np.load(npz)["values"], found.values)
    assert method in how.read_text()
    assert png.stat().st_size > 1000
    assert found._repr_html_().startswith("<img")


def state(net: TorchBackbone) -> list[object]:
    module = net.module
    parts = [
        (
            p.training,
            len(p._forward_hooks),
            len(p._forward_pre_hooks),
            len(p._backward_hooks),
            sorted(vars(p)),
        )
        for p in module.modules()
    ]
    values = [t.detach().clone().numpy().tobytes() for t in (*module.parameters(), *module.buffers())]
    grads = [
        (p.requires_grad, None if p.grad is None else p.grad.numpy().tobytes()) for p in module.parameters()
    ]
    # Python's own stream is left out: the shape checks of the tests draw from it.
    streams = [torch.get_rng_state().numpy().tobytes(), str(np.random.get_state())]  # noqa: NPY002
    return [parts, values, grads, streams]


@pytest.mark.parametrize("method", METHODS)
def test_the_network_is_afterwards_bit_for_bit_as_before(vit: TorchBackbone, method: str) -> None:
    net = vit.with_module(vit.module)
    net.module.train()
    first = next(net.module.parameters())
    first.grad = torch.ones_like(first)
    before = state(net)
    see.explain(net, IMAGE, method=method, target=3, **QUICK.get(method, {}))
    assert state(net) == before

    def breaks(outputs: torch.Tensor) -> torch.Tensor:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        see.explain(net, IMAGE, method=method, target=breaks, **QUICK.get(method, {}))
    assert state(net) == before
    first.grad = None
    assert state(net) != before, "sabotage: a lost gradient is seen"
    net.module.eval()


def test_a_batch_equals_single_runs(cnn: TorchBackbone) -> None:
    for method in ("grad-cam", "integrated-gradients"):
        options = QUICK.get(method, {})
        both = see.explain_many(cnn, [IMAGE, OTHER], method=method, target=[3, 7], **options)
        for image, index, found in zip((IMAGE, OTHER), (3, 7), both, strict=True):
            alone = see.explain(cnn, image, method=method, target=index, **options)
            assert np.allclose(found.values, alone.values, atol=1e-4 * np.abs(alone.values).max())
            assert found.target.endswith(f"class {index})")
    assert list(see.explain_many(cnn, [])) == []


def test_the_class_that_the_network_sees_is_found_a_few_images_at_a_time(cnn: TorchBackbone) -> None:
    images, passes = [drawing(i, (160, 160)) for i in range(5)], []
    handle = cnn.module.register_forward_pre_hook(lambda _, inputs: passes.append(len(inputs[0])))
    try:
        many = list(see.explain_many(cnn, images, method="saliency", chunk=2))
    finally:
        handle.remove()
    assert max(passes) == 2
    seen = cnn.logits(cnn.normalize(cnn.prepare(np.stack([one.pixels for one in many])))).argmax(1).tolist()
    assert [one.target for one in many] == [see.class_score(i, names=class_names(cnn)).name(0) for i in seen]


def test_of_many_images_a_few_at_a_time_are_in_memory(cnn: TorchBackbone, monkeypatch) -> None:
    decoded, handed = [], []

    def watched(*given, **options):
        decoded.append(decode(*given, **options))
        return decoded[-1]

    monkeypatch.setattr(read_pixels, "decode", watched)
    images = [drawing(i, (160, 160)) for i in range(9)]
    mode = cnn.module.training
    for number, found in enumerate(
        see.explain_many(cnn, images, method="saliency", target=list(range(20, 29)), chunk=2)
    ):
        assert found.target.endswith(f"class {20 + number})")
        assert np.array_equal(found.pixels, decoded[number].pixels)
        assert len(decoded) == min(9, number // 2 * 2 + 2)
        handed.append(weakref.ref(found))
        assert sum(one() is not None for one in handed) <= 2  # this one and its neighbour
        assert cnn.module.training == mode, "between two it is as it was"
        assert all(p.requires_grad for p in cnn.module.parameters())
    assert len(handed) == 9
    with pytest.raises(InvalidInput, match="9 images and 2 classes"):
        see.explain_many(cnn, images, target=[1, 2])  # at once, not when the first is asked for


def test_a_goal_is_read_from_the_network_at_rest_and_leaves_it_as_it_was() -> None:
    resting, stirred = small_net(), small_net()
    stirred.module.train()
    other, x = decode(OTHER, fit=resting.spec.fit).pixels, torch.randn(2, 12)
    before = state(stirred)
    goals = [see.likeness(net, other).of(x, torch.arange(2)) for net in (resting, stirred)]
    like = [see.embedding_like(net, OTHER).score({EMBEDDING: x}) for net in (resting, stirred)]
    assert torch.equal(*goals)
    assert torch.equal(*like)
    assert state(stirred) == before


def test_what_may_be_decoded_is_what_the_caller_says(cnn: TorchBackbone) -> None:
    few = {"max_pixels": 100 * 100}
    for reads in (
        lambda **limit: see.feature_maps(cnn, IMAGE, "layer1", **limit),
        lambda **limit: see.hierarchy(cnn, IMAGE, layers=["layer1"], **limit),
        lambda **limit: see.embedding_like(cnn, IMAGE, **limit),
        lambda **limit: see.explain(cnn, IMAGE[:50, :50], target=OTHER, method="saliency", **limit),
    ):
        reads()
        with pytest.raises(ImageError, match="10,000"):
            reads(**few)
    found = see.units([IMAGE, IMAGE[:50, :50]], cnn, "layer1", top=1, **few)
    assert len(found.images) == 1
    assert found.skipped[0][0] == "0"
    assert found.max_pixels == 100 * 100
    (made,) = see.maximize(cnn, "layer1:0", images=[IMAGE], steps=1, size=32, **few)
    assert made.natural is None
    with pytest.raises(InvalidInput, match="at least two images"):
        see.maximize(cnn, "layer1:0", images=[IMAGE] * 2, canvas="maco", steps=1, size=32, **few)


def test_the_likeness_to_another_image_is_a_target(cnn: TorchBackbone) -> None:
    found = see.explain(cnn, IMAGE, target=OTHER)
    other = see.explain(cnn, OTHER, target=3).pixels
    a, b = cnn.embed(np.stack([found.pixels, other]))
    assert found.score == pytest.approx(float(a @ b / np.linalg.norm(a) / np.linalg.norm(b)), abs=1e-5)
    assert found.target == "likeness to another image"


def test_any_function_of_the_output_is_a_target(cnn: TorchBackbone) -> None:
    margin = see.explain(cnn, IMAGE, method="saliency", target=lambda out: out[:, 3] - out[:, 5])
    a, b = (see.explain(cnn, IMAGE, method="saliency", target=i).channels for i in (3, 5))
    assert a is not None
    assert b is not None
    assert margin.channels is not None
    assert np.allclose(margin.channels, a - b, atol=1e-4 * np.abs(a).max())
    size = see.scalar(lambda out: out.square().sum(1), reads="embedding", name="size")
    assert see.explain(cnn, IMAGE, target=size).target == "size"


def test_a_named_layer_is_read(cnn: TorchBackbone) -> None:
    early, late = (see.explain(cnn, IMAGE, method="layer-cam", layer=name) for name in ("layer1", "layer4"))
    assert early.values.shape[0] > late.values.shape[0]
    assert (early.layer, late.layer) == ("layer1", "layer4")


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"method": "gradcam"}, UnknownName, "grad-cam"),
        ({"method": "grad-cam", "steps": 3}, InvalidInput, "does not take steps\\. It takes: layer, chunk"),
        ({"method": "attention-rollout"}, LayerError, "no attention layers"),
        ({"target": 1000}, InvalidInput, "There is no class 1000"),
        ({"target": -1}, InvalidInput, "There is no class -1"),
        ({"target": "tigre cat"}, UnknownName, "tiger cat"),
        ({"target": [1, 2]}, InvalidInput, "1 images and 2 classes"),
        ({"target": {}}, InvalidInput, "is none of"),
        ({"layer": "layer9"}, LayerError, "layer4"),
        (
            {"method": "integrated-gradients", "baseline": "white"},
            InvalidInput,
            "Known: black, mean, blur, uniform",
        ),
    ],
)
def test_errors_say_what_to_do(cnn: TorchBackbone, options: dict, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        see.explain(cnn, IMAGE, **options)


@pytest.mark.parametrize(
    ("method", "option", "value", "said"),
    [
        ("integrated-gradients", "steps", "many", "a whole number of at least 1"),
        ("integrated-gradients", "steps", 4.5, "a whole number of at least 1"),
        ("integrated-gradients", "steps", True, "a whole number of at least 1"),
        ("integrated-gradients", "max_steps", None, "a whole number of at least 1"),
        ("integrated-gradients", "tolerance", None, "a number of at least 0"),
        ("integrated-gradients", "tolerance", float("nan"), "a number of at least 0"),
        ("smoothgrad", "samples", 0, "a whole number of at least 1"),
        ("smoothgrad", "noise", "loud", "a number of at least 0"),
        ("smoothgrad", "noise", float("inf"), "a number of at least 0"),
        ("smoothgrad", "seed", 1.5, "a whole number of 64 bits"),
        ("smoothgrad", "seed", 2**70, "a whole number of 64 bits"),
        ("occlusion", "window", 0, "a whole number of at least 1"),
        ("occlusion", "stride", 0, "a whole number of at least 1"),
        ("occlusion", "window", "wide", "a whole number of at least 1"),
        ("grad-cam", "layer", 3, "the name of a layer"),
        ("saliency", "chunk", "all", "a whole number of at least 1"),
        ("saliency", "chunk", 0, "a whole number of at least 1"),
    ],
)
def test_a_value_that_a_method_cannot_take_is_named_with_what_it_takes(
    cnn: TorchBackbone, method: str, option: str, value: object, said: str
) -> None:
    told = re.escape(f"{option}={value!r} of the method '{method}' must be {said}.")
    with pytest.raises(InvalidInput, match=told):
        see.explain(cnn, IMAGE, method=method, **{option: value})


def test_an_image_that_cannot_be_read_is_named(cnn: TorchBackbone, tmp_path: Path) -> None:
    file = tmp_path / "note.jpg"
    file.write_text("no image")
    one, text = IMAGE[:32, :32], str(file)
    for read in (
        lambda: see.explain(cnn, file, method="saliency"),
        lambda: list(see.explain_many(cnn, [one, one, text], method="saliency", target=1, chunk=2)),
        lambda: see.feature_maps(cnn, file, "layer1"),
        lambda: see.embedding_like(cnn, text),
        lambda: see.similarity(cnn, one, file),
    ):
        with pytest.raises(ImageError, match=rf"^{re.escape(text)}: not an image") as told:
            read()
        assert told.value.reason.startswith("not an image")
    with pytest.raises(ImageError, match=r"^images\[1\]: not an image"):
        list(see.explain_many(cnn, [one, b"no image"], method="saliency", target=1))


def test_a_name_alone_is_no_list_of_images(cnn: TorchBackbone) -> None:
    with pytest.raises(InvalidInput, match="'photos' is not a list of images"):
        see.explain_many(cnn, "photos")
    with pytest.raises(InvalidInput, match="'photos' is not a list of images"):
        see.similarities(cnn, IMAGE, "photos")


def test_networks_without_classes_or_gradients_are_told_what_to_do_instead() -> None:
    headless = loaded("test_resnet")
    headless.module.reset_classifier(0)  # pyright: ignore[reportCallIssue]
    with pytest.raises(BackboneError, match="--against OTHER"):
        see.explain(headless, IMAGE)
    assert see.explain(headless, IMAGE, target=OTHER).values.any()
    with pytest.raises(BackboneError, match="engine='torch'"):
        see.explain(NumpyBackbone(), IMAGE)


def test_the_command_shows_that_it_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from rich.console import Console

    screen = io.StringIO()
    monkeypatch.setattr(terminal, "stderr", lambda: Console(file=screen, force_terminal=True))
    monkeypatch.chdir(tmp_path)
    draw(tmp_path / "photo.png", 1)
    words = ["explain", "photo.png", "-b", "test_resnet", "--no-pretrained", "--device", "cpu"]
    done = CliRunner().invoke(app, [*words, "--method", "saliency"])
    assert done.exit_code == 0, done.output
    assert re.search(r"Asking the network: saliency .*0:00:\d\d", screen.getvalue())


def test_classes_are_found_by_name(cnn: TorchBackbone) -> None:
    assert see.explain(cnn, IMAGE, target="tiger cat").target == "tiger cat (class 282)"
    fewer = loaded("test_resnet")
    fewer.module.reset_classifier(7)  # pyright: ignore[reportCallIssue]
    assert see.explain(fewer, IMAGE, target=3).target == "class 3"
    with pytest.raises(InvalidInput, match="'tiger cat' is not a class number"):
        see.explain(fewer, IMAGE, target="tiger cat")
