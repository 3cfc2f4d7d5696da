"""Feature maps against a plain pass, main directions against scikit-learn, and stages of many networks."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from featurelens.errors import InvalidInput, LayerError

torch = pytest.importorskip("torch")

from featurelens.backbone import load_backbone  # noqa: E402
from featurelens.images.decode import decode  # noqa: E402
from featurelens.see.channel_maps import feature_maps  # noqa: E402
from featurelens.see.depths import hierarchy, stage_layers  # noqa: E402
from featurelens.see.principal import principal_colours  # noqa: E402
from fixtures.drawn import drawing  # noqa: E402
from fixtures.small_nets import SmallNet, small_net  # noqa: E402

IMAGE = drawing(3, (40, 52))


def plain_maps(net, name: str) -> np.ndarray:
    module, caught = SmallNet().eval(), []
    module.get_submodule(name).register_forward_hook(lambda _m, _i, out: caught.append(out.clone()))
    with torch.no_grad():
        module(net.normalize(net.prepare(decode(IMAGE, fit=net.spec.fit).pixels[None])))
    return caught[0][0].numpy()


@pytest.mark.parametrize("name", ["stem", "norm", "deep"])
def test_maps_are_what_the_layer_gives_also_where_the_next_works_in_place(name: str) -> None:
    net = small_net()
    np.testing.assert_allclose(
        feature_maps(net, IMAGE, name).maps, plain_maps(net, name), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize(
    ("rank", "strength"),
    [
        ("max", lambda m: m.max((1, 2))),
        ("mean", lambda m: m.mean((1, 2))),
        ("spread", lambda m: m.clip(0).std((1, 2))),
        ("index", lambda m: -np.arange(len(m))),
    ],
)
def test_channels_are_ranked_strongest_first(rank, strength) -> None:
    found = feature_maps(small_net(), IMAGE, "deep", rank=rank)
    values = strength(found.maps)[list(found.order)]
    assert (np.diff(values) <= 0).all()
    assert sorted(found.order) == list(range(12))


def test_a_shared_scale_keeps_strengths_comparable_and_an_own_one_does_not() -> None:
    net = small_net()
    with torch.no_grad():
        net.module.deep.weight[0] *= 0.01
        net.module.deep.bias[0] *= 0.01
    found = feature_maps(net, IMAGE, "last")

    def tile(channel: int, peak: float | None) -> np.ndarray:
        return found.tile(channel, side=found.maps.shape[1], peak=peak).astype(float)

    black = tile(0, 1e9)[0, 0]
    faint = np.abs(tile(0, float(found.maps.max())) - black).max()
    own = np.abs(tile(0, None) - black).max()
    assert own > 100 > 4 * faint


def test_the_sheet_shows_as_many_channels_as_asked_and_counts_the_silent(tmp_path: Path) -> None:
    net = small_net()
    with torch.no_grad():
        net.module.deep.bias[:] = 2.0
        net.module.deep.bias[[2, 5]] = -1e4
    found = feature_maps(net, IMAGE, "last")
    assert found.silent == 2
    assert set(found.order[-2:]) == {2, 5}
    four, twelve = found.sheet(limit=4, columns=4), found.sheet(limit=None, columns=4)
    assert twelve.shape[0] > 2.5 * (four.shape[0] - 40)
    written = found.save(tmp_path / "last.png", limit=4, scale="shared", over=True)
    assert [p.suffix for p in written] == [".png", ".npz", ".json"]
    told = json.loads((tmp_path / "last.json").read_text())
    assert (told["layer"], told["scale"], told["over"]) == ("last", "shared", True)
    with np.load(tmp_path / "last.npz") as data:
        np.testing.assert_array_equal(data["maps"], found.maps)


@pytest.mark.parametrize("shape", [(1, 8, 9, 7), (3, 40, 4, 5), (1, 100, 5, 5)])
def test_main_directions_are_those_of_scikit_learn(shape: tuple[int, ...]) -> None:
    from sklearn.decomposition import PCA

    maps = np.random.default_rng(0).normal(size=shape) * np.arange(1, shape[1] + 1)[:, None, None]
    found = principal_colours(maps)
    places = maps.transpose(0, 2, 3, 1).reshape(-1, shape[1])
    pca = PCA(3, svd_solver="full").fit(places)
    np.testing.assert_allclose(found.share, pca.explained_variance_ratio_, rtol=1e-6)
    parts = pca.transform(places)
    for i in range(3):
        drawn = found.pixels[..., i].ravel().astype(float)
        inside = (drawn > 0) & (drawn < 255)
        assert abs(np.corrcoef(drawn[inside], parts[inside, i])[0, 1]) > 0.999


def test_colours_do_not_depend_on_signs_and_flat_maps_stay_grey() -> None:
    maps = np.random.default_rng(1).normal(size=(1, 6, 8, 8))
    again = principal_colours(maps[:, ::-1].copy()[:, ::-1].copy())
    np.testing.assert_array_equal(principal_colours(maps).pixels, again.pixels)
    flat = principal_colours(np.ones((1, 4, 3, 3)))
    assert (flat.pixels == 128).all()
    assert flat.share.tolist() == [0, 0, 0]
    two = principal_colours(np.random.default_rng(2).normal(size=(1, 2, 4, 4)))
    assert (two.pixels[..., 2] == 128).all()


@pytest.mark.parametrize("name", ["test_vit", "test_convnext", "test_efficientnet", "test_resnet"])
def test_stages_go_from_fine_to_coarse_in_any_network(name: str) -> None:
    net = load_backbone(name, engine="torch", pretrained=False)
    stages = stage_layers(net)
    assert 2 <= len(stages) <= 5
    page = hierarchy(net, IMAGE, channels=3)
    sizes = [stage.maps.shape[1] for stage in page.stages]
    assert sizes == sorted(sizes, reverse=True)
    assert page.page(side=40).shape[2] == 3


def test_a_page_with_what_channels_seek(tmp_path: Path) -> None:
    told = []
    made = hierarchy(
        small_net(),
        IMAGE,
        layers=["stem", "deep"],
        channels=2,
        synthetic=True,
        steps=3,
        on_progress=lambda p: told.append((p.done, p.total)),
    )
    assert told[0] == (0, 12)
    assert told[-1] == (12, 12)
    assert told == sorted(told)
    assert [[one.name for one in row] for row in made.pictures] == [
        [f"{stage.layer}:{channel}" for channel in stage.order[:2]] for stage in made.stages
    ]
    assert [p.name for p in made.save(tmp_path / "page.png")] == ["page.png", "page.json"]


def test_errors() -> None:
    net = small_net()
    with pytest.raises(LayerError, match="no places"):
        feature_maps(net, IMAGE, "head")
    with pytest.raises(InvalidInput, match="spread, "):
        feature_maps(net, IMAGE, "deep", rank="size")
    for limit in (0, -3):
        with pytest.raises(InvalidInput, match=f"limit={limit} must be"):
            feature_maps(net, IMAGE, "deep").sheet(limit=limit)
    with pytest.raises(InvalidInput, match="'own' or 'shared'"):
        feature_maps(net, IMAGE, "deep").sheet(scale="both")
