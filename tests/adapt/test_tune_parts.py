"""The parts of fine-tuning by themselves: splits, mixing, schedule, average, events, scores."""

from __future__ import annotations

import struct
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta
from sklearn.metrics import accuracy_score, balanced_accuracy_score, confusion_matrix, log_loss
from sklearn.model_selection import StratifiedShuffleSplit
from sklearn.utils.class_weight import compute_class_weight
from torch import nn
from torch.nn import functional as F

from featurelens.adapt.average import Average
from featurelens.adapt.division import codes_of, divide
from featurelens.adapt.events import Events, masked
from featurelens.adapt.mixing import balanced, losses, mix, soft_targets
from featurelens.adapt.schedule import factor
from featurelens.adapt.scores import score
from featurelens.adapt.views import random_views
from featurelens.errors import InvalidInput


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(2, 40), min_size=2, max_size=6),
    st.integers(0, 5),
    st.sampled_from(["0.2", "0.3", "0.5"]),
)
def test_a_split_by_share_is_as_stratified_as_scikit_learns(counts: list[int], seed: int, share: str) -> None:
    labels = [f"c{i}" for i, n in enumerate(counts) for _ in range(n)]
    codes, names = codes_of(labels)
    found = divide([f"{i}.jpg" for i in range(len(labels))], codes, names, split=share, seed=seed)
    assert sorted([*found.teach, *found.test]) == list(range(len(labels)))
    ours = Counter(codes[found.test].tolist())
    for code, n in enumerate(counts):
        assert 1 <= ours[code] < n or n == 1
        assert abs(ours[code] - float(share) * n) < 1
    test_size = max(round(float(share) * len(labels)), len(counts))
    if len(labels) - test_size >= len(counts):
        _, theirs = next(
            StratifiedShuffleSplit(1, test_size=test_size, random_state=seed).split(codes, codes)
        )
        counted = Counter(codes[theirs].tolist())
        assert all(abs(ours[code] - counted[code]) <= 1 for code in range(len(counts)))
    again = divide([f"{i}.jpg" for i in range(len(labels))], codes, names, split=share, seed=seed)
    assert found.test.tolist() == again.test.tolist()


def test_folders_divide_where_there_are_such() -> None:
    ids = ["train/a/1.jpg", "train/b/1.jpg", "val/a/2.jpg", "test/b/2.jpg"]
    codes, names = codes_of(["a", "b", "a", "b"])
    found = divide(ids, codes, names)
    assert (found.teach.tolist(), found.test.tolist()) == ([0, 1], [2, 3])
    with pytest.raises(InvalidInput, match="train/"):
        divide(["a/1.jpg"] * 4, codes, names, split="folder")


@pytest.mark.parametrize(
    ("labels", "ids", "said"),
    [
        (["a", "a"], ["1", "2"], "two classes"),
        (["", ""], ["1", "2"], "none has a label"),
        (["a"], ["1"], "two classes"),
        (["a", "b", "c"], ["train/1", "val/2", "train/3"], "no image to learn from: b"),
    ],
)
def test_one_class_an_empty_class_and_one_image_are_told(
    labels: list[str], ids: list[str], said: str
) -> None:
    with pytest.raises(InvalidInput, match=said):
        divide(ids, *codes_of(labels))


def test_the_loss_is_torchs_for_hard_smooth_weighted_and_mixed_targets() -> None:
    torch.manual_seed(0)
    logits, codes, weights = torch.randn(9, 4), torch.randint(0, 4, (9,)), torch.rand(4) + 0.5
    hard = losses(logits, soft_targets(codes, 4), weights)
    assert torch.allclose(hard, F.cross_entropy(logits, codes, weights, reduction="none"))
    smooth = losses(logits, soft_targets(codes, 4, smoothing=0.1))
    assert torch.allclose(smooth, F.cross_entropy(logits, codes, label_smoothing=0.1, reduction="none"))
    assert not torch.allclose(smooth, losses(logits, soft_targets(codes, 4)))


def test_class_weights_are_scikit_learns_balanced() -> None:
    codes = torch.tensor([0, 0, 0, 1, 2, 2])
    theirs = compute_class_weight("balanced", classes=np.arange(3), y=codes.numpy())
    assert torch.allclose(balanced(codes, 3).double(), torch.tensor(theirs))


@pytest.mark.parametrize("kind", ["mixup", "cutmix"])
def test_mixed_targets_tell_how_much_of_each_image_is_there(kind: str) -> None:
    """Images that are 0 or 1 all over by class: their mean is then the target of class 1."""
    codes = torch.arange(16) % 2
    x = codes.float().view(-1, 1, 1, 1).expand(-1, 3, 20, 30).clone()
    for seed in range(8):
        mixed, targets = mix(x, soft_targets(codes, 2), torch.Generator().manual_seed(seed), **{kind: 1.0})
        assert torch.allclose(mixed.mean((1, 2, 3)), targets[:, 1], atol=1e-5)
        assert torch.allclose(targets.sum(1), torch.ones(16))
    assert mix(x, soft_targets(codes, 2), torch.Generator())[0] is x


@pytest.mark.parametrize("parameter", [0.01, 0.2, 1.0])
def test_shares_are_spread_as_scipys_beta_distribution(parameter: float) -> None:
    x, source = torch.tensor([[0.0], [1.0]]), torch.Generator().manual_seed(0)
    shares = np.array(
        [float(mix(x, x, source, mixup=parameter)[1].max()) for _ in range(2000)]
    )  # of two images, the larger share; 1 where an image met itself, which half of the pairs do
    for edge in (0.6, 0.75, 0.9):
        expected = beta(parameter, parameter).cdf(edge) - beta(parameter, parameter).cdf(1 - edge)
        assert abs((shares < edge).mean() - expected / 2) <= 0.035


def test_views_cut_and_mirror_and_can_do_nothing() -> None:
    x = torch.rand(4, 3, 12, 10)
    assert torch.equal(random_views(x, torch.Generator(), area=1.0, flip=0.0), x)
    mirrored = random_views(x, torch.Generator().manual_seed(0), area=1.0, flip=1.0)
    assert torch.allclose(mirrored, x.flip(3), atol=1e-5)
    a, b = (random_views(x, torch.Generator().manual_seed(1)) for _ in range(2))
    assert torch.equal(a, b)
    assert not torch.allclose(a, random_views(x, torch.Generator().manual_seed(2)))
    assert a.min() >= 0
    assert a.max() <= 1


@pytest.mark.parametrize("area", [0.5, 0.9, 0.99, 1.0])
def test_a_view_shows_at_least_the_share_that_was_asked_for(area: float) -> None:
    """An image whose colours are its coordinates: how far they range in a view is how much of it is seen."""
    side = (torch.arange(64) + 0.5) / 64
    place = torch.stack((side.expand(64, 64), side[:, None].expand(64, 64), torch.zeros(64, 64)))
    views = random_views(place.expand(80, 3, 64, 64), torch.Generator().manual_seed(0), area=area)
    wide, high = ((v.amax((1, 2)) - v.amin((1, 2))) * 64 / 63 for v in (views[:, 0], views[:, 1]))
    assert (wide * high).min() >= area - 0.02


def test_the_rate_rises_and_falls_as_torchs_schedulers_say() -> None:
    parameter = nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=1.0)
    up = torch.optim.lr_scheduler.LinearLR(optimizer, 1 / 4, 1.0, total_iters=3)
    down = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 16)
    both = torch.optim.lr_scheduler.SequentialLR(optimizer, [up, down], milestones=[4])
    for step in range(20):
        assert abs(optimizer.param_groups[0]["lr"] - factor(step, 20, warmup=0.2)) < 1e-6, step
        optimizer.step()
        both.step()


def test_the_average_follows_and_leaves_the_weights_alone() -> None:
    layer = nn.Linear(2, 2)
    average = Average(layer, ["weight", "bias"], keep=0.9)
    slow = layer.weight.detach().clone()
    for step in range(1, 30):
        with torch.no_grad():
            layer.weight.add_(0.1)
        average.follow()
        keep = min(0.9, step / (step + 9))
        slow = keep * slow + (1 - keep) * layer.weight.detach()
    own = layer.weight.detach().clone()
    with average.in_place():
        assert torch.allclose(layer.weight, slow, atol=1e-5)
    assert torch.equal(layer.weight, own)


def test_scores_are_scikit_learns() -> None:
    random = np.random.default_rng(0)
    logits, codes = random.normal(size=(60, 3)), random.integers(0, 3, 60)
    found = score(logits, codes)
    assert found is not None
    said = logits.argmax(1)
    assert found.accuracy == pytest.approx(accuracy_score(codes, said))
    assert found.mean_recall == pytest.approx(balanced_accuracy_score(codes, said))
    assert np.array_equal(found.confusion, confusion_matrix(codes, said))
    chances = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    assert found.loss == pytest.approx(log_loss(codes, chances))
    assert score(np.empty((0, 3)), np.empty(0, np.int64)) is None


def test_event_files_hold_what_was_told(tmp_path: Path) -> None:
    with Events(tmp_path) as events:
        events.add(3, {"loss": 0.5, "accuracy": None})
        events.add(300, {"loss": 0.25})
    (file,) = tmp_path.iterdir()
    assert "tfevents" in file.name
    data, records = file.read_bytes(), []
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        assert data[8:12] == masked(data[:8])
        record, data = data[12 : 12 + length], data[12 + length :]
        assert data[:4] == masked(record)
        records.append(record)
        data = data[4:]
    assert b"brain.Event:2" in records[0]
    assert records[1].endswith(b"\x0a\x04loss\x15" + struct.pack("<f", 0.5))
    assert b"\x10\xac\x02" in records[2]  # step 300 as a varint
