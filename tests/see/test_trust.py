"""Trust: scikit-learn and scipy are the oracles of areas and ranks; good, random and edge maps get their verdicts."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from sklearn.metrics import auc

from featurelens import load_backbone, see
from featurelens.backbone.torch_backbone import TorchBackbone
from featurelens.errors import InvalidInput
from featurelens.see.baselines import blurred
from featurelens.see.curves import Curves, cell_means, insertion_deletion
from featurelens.see.randomized import randomized, rank_correlation
from featurelens.see.targets import class_score, scorer
from featurelens.see.trust import GRID, Trust, edge_map
from featurelens.see.verdict import judge
from fixtures.drawn import drawing


def corner(x: torch.Tensor, _which: torch.Tensor) -> torch.Tensor:
    """A score that reads only the upper left quarter."""
    return x[:, :, :14, :14].mean((1, 2, 3))


def test_the_areas_are_those_of_scikit_learn() -> None:
    line = np.random.default_rng(0).random(9)
    curves = Curves(line, line[::-1])
    at = np.linspace(0, 1, 9)
    assert curves.inserted == pytest.approx(auc(at, line))
    assert curves.gain == pytest.approx(0)


def test_the_right_order_wins_and_the_reverse_loses() -> None:
    important = np.zeros((28, 28))
    important[:14, :14] = 1
    order = np.argsort(-cell_means(important, 14), kind="stable")
    x, ground = torch.ones(3, 28, 28), torch.zeros(3, 28, 28)
    random = np.random.default_rng(0).permutation(196)
    found = insertion_deletion(corner, x, ground, np.stack([order, order[::-1], random]), points=14)
    assert found is not None
    right, wrong, chance = found
    assert right.insertion[[0, -1]].tolist() == [0, 1]
    assert right.deletion[[0, -1]].tolist() == [1, 0]
    assert right.insertion[4] == 1, "after a quarter and a bit, all that counts is there"
    assert right.gain > 0.7
    assert wrong.gain < -0.7
    assert abs(chance.gain) < 0.2
    assert insertion_deletion(corner, x, x, order[None]) is None, "nothing to bring back"
    with pytest.raises(InvalidInput, match="196 cells; it names 3"):
        insertion_deletion(corner, x, ground, np.array([[0, 1, 2]]))


def test_rank_correlation_is_spearmans() -> None:
    random = np.random.default_rng(0)
    a, b = random.integers(0, 5, 60).astype(float), random.normal(size=60)
    assert rank_correlation(a, b) == pytest.approx(spearmanr(a, b).statistic)
    assert rank_correlation(a, np.exp(3 * a)) == pytest.approx(1)
    assert rank_correlation(a, 0 * b) == 0


def test_edges_are_where_the_step_is() -> None:
    pixels = np.zeros((20, 30, 3), np.uint8)
    pixels[:, 15:] = 200
    found = edge_map(pixels)
    assert found.shape == (20, 30)
    assert set(np.nonzero(found)[1]) == {14, 15}


def test_randomizing_forgets_from_the_output_down_and_leaves_the_original() -> None:
    net = load_backbone("test_resnet", engine="torch", pretrained=False, threads=1)
    before = {name: p.clone() for name, p in net.module.named_parameters()}  # pyright: ignore[reportAttributeAccessIssue]
    changed = []
    for copy in randomized(net, stages=(0.2, 1.0)):  # pyright: ignore[reportArgumentType]
        same = {name: torch.equal(p, before[name]) for name, p in copy.module.named_parameters()}
        changed.append({name for name, is_same in same.items() if not is_same})
    assert "fc.weight" in changed[0] or "head.fc.weight" in changed[0]
    assert not any(name.startswith(("conv1", "layer1")) for name in changed[0])
    assert any(name.startswith("conv1") for name in changed[1])
    assert changed[0] < changed[1]
    assert all(torch.equal(p, before[n]) for n, p in net.module.named_parameters())  # pyright: ignore[reportAttributeAccessIssue]


def test_a_check_of_an_untrained_network_runs_and_speaks() -> None:
    net = load_backbone("test_resnet", engine="torch", pretrained=False, threads=1)
    found = see.explain(net, drawing(3, (160, 160)), check=True)
    assert found.trust is not None
    assert len(found.trust.randomized or ()) == 3
    assert found.trust.words.startswith(("Trust:", "Do NOT"))
    assert found.how()["trust"]["level"] == found.trust.level


FINE = Trust(
    0.002, True, (0.4, 0.2, 0.1), 0.1, gain=0.5, inserted=0.7, deleted=0.2, chance=0.0, spread=0.05, edges=0.2
)


@pytest.mark.parametrize(
    ("change", "level", "said"),
    [
        ({}, "good", "adds up to the score's rise"),
        ({"gap": None, "complete": None}, "good", "depends on what was learned"),
        ({"gain": 0.08}, "do not trust", "no more than random ones"),
        ({"edges": 0.6}, "with care", "no more than those of a plain edge filter"),
        ({"randomized": (0.9, 0.9, 0.85)}, "do not trust", "it shows the image"),
        ({"randomized": (0.9, 0.8, 0.6)}, "with care", "Much of it stays"),
        ({"randomized": None}, "with care", "does not run on a randomized copy"),
        ({"gap": 0.2, "complete": False}, "with care", "misses 20.0 %"),
        ({"gain": None}, "with care", "does not change the score"),
    ],
)
def test_verdicts(change: dict, level: str, said: str) -> None:
    from dataclasses import replace

    found = judge(replace(FINE, **change))
    assert found.level == level
    assert said in found.words


def test_on_real_weights_the_maps_order_beats_a_shuffled_one(shared) -> None:
    """Sabotage: the same numbers at other places lose."""
    weights = shared / "weights" / "mobilenetv2_100.tflite_in1k"
    net = load_backbone(f"local-dir:{weights}", engine="torch", device="cpu")
    assert isinstance(net, TorchBackbone)
    photos = sorted((shared / "data" / "flowers5" / "daisy").glob("*.jpg"))[:3]
    gains = []
    for found in see.explain_many(net, photos, target="daisy"):
        x01 = net.prepare(found.pixels[None])
        x, ground = net.normalize(x01)[0], net.normalize(blurred(x01))[0]
        cells = cell_means(found.values, GRID)
        orders = np.stack([np.argsort(-cells), np.random.default_rng(1).permutation(len(cells))])
        curves = insertion_deletion(scorer(net, class_score(985)), x, ground, orders, points=7)
        assert curves is not None
        gains.append([c.gain for c in curves])
    ours, shuffled = np.mean(gains, axis=0)
    assert ours > shuffled + 0.1
