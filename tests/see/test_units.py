"""Units: the pass against a plain loop over all images, histograms against numpy, and pages that hold together."""

from __future__ import annotations

import re
from contextlib import nullcontext
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from featurelens.errors import InvalidInput, LayerError

torch = pytest.importorskip("torch")

from featurelens.backbone.torch_backbone import TorchBackbone  # noqa: E402
from featurelens.images.decode import decode  # noqa: E402
from featurelens.see import exemplars, passing, unit_pictures, unit_store  # noqa: E402
from featurelens.see.exemplars import Exemplars  # noqa: E402
from featurelens.see.reading import autocast  # noqa: E402
from featurelens.see.tally import Tally  # noqa: E402
from featurelens.see.unit_pass import units  # noqa: E402
from fixtures.drawn import draw, draw_many, drawing  # noqa: E402
from fixtures.small_nets import SmallNet, small_net  # noqa: E402

IMAGES = [drawing(i) for i in range(23)]


def answers(net, name: str) -> np.ndarray:
    """The slow twin: image by image, what the layer gives."""
    module = SmallNet().eval()
    module.load_state_dict(net.module.state_dict())
    caught = []
    module.get_submodule(name).register_forward_hook(lambda _m, _i, out: caught.append(out.clone()))
    for image in IMAGES:
        with torch.no_grad():
            module(net.normalize(net.prepare(decode(image, fit=net.spec.fit).pixels[None])))
    return torch.cat(caught).numpy()


@pytest.mark.parametrize("batch_size", [4, 32])
def test_the_pass_finds_what_a_loop_over_all_images_finds(batch_size: int) -> None:
    net = small_net()
    found = units(IMAGES, net, ["norm", "deep"], top=5, batch_size=batch_size)
    assert len(found.images) == 23
    for name in ("norm", "deep"):
        maps, layer = answers(net, name), found[name]
        for unit in range(maps.shape[1]):
            peaks = maps[:, unit].max((1, 2))
            best = np.argsort(-peaks, kind="stable")[:5]
            assert layer.image[unit].tolist() == best.tolist()
            np.testing.assert_allclose(layer.score[unit], peaks[best], rtol=1e-4, atol=1e-5)
            for k, image in enumerate(best):
                spot = np.unravel_index(maps[image, unit].argmax(), maps.shape[2:])
                expected = [(spot[0] + 0.5) / maps.shape[2], (spot[1] + 0.5) / maps.shape[3]]
                np.testing.assert_allclose(layer.place[unit, k], expected)
                np.testing.assert_allclose(layer.maps[unit, k], maps[image, unit], rtol=1e-4, atol=1e-5)
            assert layer.active[unit] == pytest.approx((peaks > 0).mean())
            assert layer.mean[unit] == pytest.approx(peaks.mean(), rel=1e-4, abs=1e-5)
            assert layer.deviation[unit] == pytest.approx(peaks.std(), rel=1e-3, abs=1e-5)
            assert layer.best_mean[unit] == pytest.approx(
                maps[:, unit].mean((1, 2)).max(), rel=1e-4, abs=1e-5
            )
            assert layer.counts[unit].sum() == 23


@pytest.mark.parametrize(("precision", "low"), [("auto", True), ("fp32", False)])
def test_the_pass_computes_as_precisely_as_the_backbone_embeds(
    monkeypatch, precision: Literal["auto", "fp32"], low: bool
) -> None:
    plain = small_net()
    monkeypatch.setattr(TorchBackbone, "_low", property(lambda net: net.precision == "auto"))  # as on CUDA
    features, pool = plain.steps
    net = TorchBackbone(plain.module, plain.spec, features=features, pool=pool, precision=precision)
    net.device = torch.device("cuda")
    asked = []
    monkeypatch.setattr(torch, "autocast", lambda *how: asked.append(how) or nullcontext())
    with net._autocast():
        embeds = list(asked)
    with autocast(net):
        passes = asked[len(embeds) :]
    assert passes == embeds == ([("cuda", torch.bfloat16)] if low else [])


def test_sabotage_a_pass_that_forgets_earlier_batches_is_noticed(monkeypatch) -> None:
    real = Exemplars.add

    def forgetful(self, output):
        self._key = np.full_like(self._key, -np.inf)
        return real(self, output)

    monkeypatch.setattr(exemplars.Exemplars, "add", forgetful)
    with pytest.raises(AssertionError):
        test_the_pass_finds_what_a_loop_over_all_images_finds(4)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.lists(st.floats(-1e6, 1e6, allow_nan=False, width=32), min_size=2, max_size=2),
        min_size=1,
        max_size=60,
    ),
    st.integers(1, 7),
)
def test_a_histogram_that_grows_holds_every_value_in_its_bin(rows: list[list[float]], step: int) -> None:
    values = np.array(rows)
    tally = Tally(bins=8)
    for start in range(0, len(values), step):
        tally.add(values[start : start + step])
    assert (tally.low <= values.min(0)).all()
    assert (tally.high >= values.max(0)).all()
    for unit in range(2):
        edges = np.linspace(tally.low[unit], tally.high[unit], 9)
        expected = np.histogram(values[:, unit], edges)[0]
        assert tally.counts[unit].sum() == len(values)
        # A value on an edge may fall to either side by rounding.
        assert (
            np.abs(np.cumsum(tally.counts[unit]) - np.cumsum(expected)).max()
            <= (np.abs(values[:, unit][:, None] - edges).min(1) < 1e-6 * (edges[-1] - edges[0])).sum()
        )
        assert tally.mean[unit] == pytest.approx(values[:, unit].mean(), rel=1e-6, abs=1e-6)


def test_what_is_not_finite_is_counted_apart() -> None:
    tally = Tally(bins=4)
    tally.add(np.array([[1.0, np.nan], [np.inf, 2.0], [3.0, 4.0]]))
    assert tally.dropped.tolist() == [1, 1]
    assert tally.counts.sum(1).tolist() == [2, 2]
    assert tally.mean.tolist() == [2.0, 3.0]


def test_units_that_never_answer_are_dead() -> None:
    net = small_net()
    with torch.no_grad():
        net.module.deep.bias[4] = -1e4
    layer = units(IMAGES, net, "last")["last"]
    assert layer.dead == [4]
    assert layer.active[4] == 0
    assert layer.contrast[4] == 0
    assert layer.contrast[layer.active > 0].min() > 0


def test_of_equal_answers_the_one_that_fills_more_of_the_image_comes_first() -> None:
    batch = torch.zeros(4, 1, 3, 3)
    batch[:, 0, 0, 0] = 6.0
    batch[2, 0, 1:] = 5.0
    batch[1, 0, 2] = 5.0
    kept = Exemplars(top=3)
    kept.add(batch[:2])
    kept.add(batch[2:])
    assert kept.image.tolist() == [[2, 1, 0]]
    assert kept.score.tolist() == [[6.0, 6.0, 6.0]]
    kept.add(torch.full((1, 1, 3, 3), 6.5))
    assert kept.image.tolist() == [[4, 2, 1]]


def test_vectors_have_units_too_and_few_images_leave_room() -> None:
    net = small_net()
    found = units(IMAGES[:3], net, ["head"], top=5, batch_size=2)["head"]
    assert found.image.shape == (5, 5)
    assert (found.image[:, 3:] == -1).all()
    assert sorted(found.image[0, :3].tolist()) == [0, 1, 2]


def test_broken_files_are_listed_and_stop_nothing(tmp_path: Path) -> None:
    draw_many(tmp_path, 5)
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 and no more")
    found = units(tmp_path, small_net(), "deep")
    assert len(found.images) == 5
    assert [name for name, _ in found.skipped] == ["broken.jpg"]


def test_the_network_is_left_as_it_was() -> None:
    net = small_net()
    before = {k: v.clone() for k, v in net.module.state_dict().items()}
    net.module.train()
    units(IMAGES, net, ["deep"])
    assert all(part.training for part in net.module.modules())
    assert all(torch.equal(v, before[k]) for k, v in net.module.state_dict().items())
    assert not any(len(part._forward_hooks) for part in net.module.modules())


def test_pages_hold_together(tmp_path: Path) -> None:
    draw_many(tmp_path / "photos", 12)
    net = small_net()
    with torch.no_grad():
        net.module.deep.bias[4] = -1e4
    found = units(tmp_path / "photos", net, ["norm", "last"], top=4)
    first = found.save(tmp_path / "pages", backbone=net, pictures=2, steps=4)
    assert first == tmp_path / "pages" / "index.html"
    pages = sorted(tmp_path.glob("pages/**/*.html"))
    assert len(pages) == 1 + 2 + 6 + 12
    for page in pages:
        text = page.read_text()
        for address in set(re.findall(r'(?:href|src)="([^"#]+)', text)):
            assert (page.parent / address).exists(), f"{page}: {address}"
    assert len(list(tmp_path.glob("pages/last/*.made.webp"))) == 2
    assert "never answers" in (tmp_path / "pages" / "last" / "4.html").read_text()
    with Image.open(tmp_path / "pages" / "last" / "0.webp") as tiles:
        assert tiles.width == tiles.height * 4
    with np.load(tmp_path / "pages" / "last" / "units.npz") as data:
        assert np.array_equal(data["image"], found["last"].image)
    some = found.save(tmp_path / "some", only=[1, 3])
    assert sorted(p.stem for p in (some.parent / "last").glob("*.html")) == ["1", "3", "index"]


def test_errors() -> None:
    net = small_net()
    with pytest.raises(InvalidInput, match="at least one layer"):
        units(IMAGES, net, [])
    with pytest.raises(LayerError, match="no layer 'depe'"):
        units(IMAGES, net, "depe")
    with pytest.raises(InvalidInput, match="limit=0: look at 1 image or more"):
        units(IMAGES, net, "deep", limit=0)
    with pytest.raises(InvalidInput, match="no images"):
        units([], net, "deep")
    with pytest.raises(InvalidInput, match="not among"):
        units(IMAGES, net, "deep")["stem"]


def stop_after(images: int):
    """A watcher that breaks the pass off once so many images are done."""

    def watch(progress) -> None:
        if progress.done >= images:
            raise KeyboardInterrupt

    return watch


def decoded(monkeypatch) -> list[str]:
    """The images that are decoded, filled from now on."""
    names: list[str] = []
    real = passing.pixels_of
    monkeypatch.setattr(
        passing,
        "pixels_of",
        lambda source, fit, **reading: names.append(source.id) or real(source, fit, **reading),
    )
    return names


def test_a_pass_that_was_stopped_goes_on_where_it_was(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(unit_store, "_EVERY", 0.0)
    draw_many(tmp_path / "photos", 23)
    (tmp_path / "photos" / "003.png").write_bytes(b"broken")
    net, setting = small_net(), {"top": 5, "batch_size": 4, "store": tmp_path / "store"}
    whole = units(tmp_path / "photos", net, ["norm", "deep"], top=5, batch_size=4)
    with pytest.raises(KeyboardInterrupt):
        units(tmp_path / "photos", net, ["norm", "deep"], **setting, on_progress=stop_after(12))
    names, done = decoded(monkeypatch), []
    rest = units(
        tmp_path / "photos", net, ["norm", "deep"], **setting, on_progress=lambda p: done.append(p.done)
    )
    assert done[0] >= 8
    assert len(names) == 23 - done[0]
    assert [source.id for source in rest.images] == [source.id for source in whole.images]
    assert rest.skipped == whole.skipped
    assert rest.skipped
    for one, other in zip(rest.layers, whole.layers, strict=True):
        for name, value in vars(one).items():
            assert np.array_equal(value, vars(other)[name]), name
    names.clear()
    again = units(tmp_path / "photos", net, ["norm", "deep"], **setting)
    assert not names  # a finished pass is read
    assert np.array_equal(again["deep"].counts, whole["deep"].counts)


def test_pages_among_the_images_are_not_read_as_images(tmp_path: Path) -> None:
    draw_many(tmp_path, 6)
    home = tmp_path / "pages"
    first = units(tmp_path, small_net(), "deep", store=home)
    first.save(home)
    assert list(home.rglob("*.webp"))
    again = units(tmp_path, small_net(), "deep", store=home)
    assert [one.id for one in again.images] == [one.id for one in first.images]
    assert len(again.images) == 6
    assert again.skipped == ()


def test_another_question_or_changed_images_start_anew(tmp_path: Path, monkeypatch) -> None:
    draw_many(tmp_path / "photos", 6)
    net = small_net()
    setting = {"batch_size": 4, "store": tmp_path / "store"}
    units(tmp_path / "photos", net, "deep", top=3, **setting)
    names = decoded(monkeypatch)
    for change in (
        lambda: units(tmp_path / "photos", net, "deep", top=2, **setting),
        lambda: units(tmp_path / "photos", net, ["norm", "deep"], top=2, **setting),
        lambda: (
            draw(tmp_path / "photos" / "002.png", 99)
            and units(tmp_path / "photos", net, ["norm", "deep"], top=2, **setting)
        ),
        lambda: (
            (tmp_path / "store" / "pass.npz").write_bytes(b"torn")
            and units(tmp_path / "photos", net, ["norm", "deep"], top=2, **setting)
        ),
    ):
        names.clear()
        assert change()["deep"].image.shape[1] == 2
        assert len(names) == 6
    names.clear()
    units(tmp_path / "photos", net, ["norm", "deep"], top=2, **setting)
    assert not names


def test_pictures_that_lie_there_are_not_made_again(tmp_path: Path, monkeypatch) -> None:
    net, made = small_net(), []
    real = unit_pictures.maximize
    monkeypatch.setattr(unit_pictures, "_GROUP", 2)
    monkeypatch.setattr(
        unit_pictures, "maximize", lambda net, names, **how: made.extend(names) or real(net, names, **how)
    )
    found = units(IMAGES[:8], net, "norm", top=2)
    with pytest.raises(KeyboardInterrupt):
        found.save(tmp_path, backbone=net, pictures=-1, steps=4, on_progress=stop_after(12))
    assert len(made) == 4  # two groups of two, the second one lost
    made.clear()
    found.save(tmp_path, backbone=net, pictures=-1, steps=4)
    assert len(made) == 4
    first = {p.name: p.read_bytes() for p in tmp_path.glob("norm/*.made.webp")}
    assert len(first) == 6
    made.clear()
    found.save(tmp_path, backbone=net, pictures=-1, steps=4)
    assert not made
    found.save(tmp_path, backbone=net, pictures=-1, steps=5)
    assert len(made) == 6
    assert {p.name: p.read_bytes() for p in tmp_path.glob("norm/*.made.webp")} != first
