"""The losses, maps and criteria of domain adaptation against slow twins and other libraries."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from featurelens.adapt.domain import criteria
from featurelens.adapt.domain.adabn import adabn, norms_of
from featurelens.adapt.domain.adversary import Critic, dann_loss, reverse, strength_at
from featurelens.adapt.domain.change import change
from featurelens.adapt.domain.objectives import coral_loss, mcc_loss, mmd_loss, pseudo_loss
from featurelens.adapt.domain.recolour import recolouring
from featurelens.adapt.domain.teach import sure_labels
from featurelens.adapt.rebase import rebase
from featurelens.errors import InvalidInput
from fixtures.learning import network
from oracles import domain as slow

RANDOM = np.random.default_rng(5)
X, Y = RANDOM.normal(size=(14, 5)), RANDOM.normal(size=(11, 5)) @ RANDOM.normal(size=(5, 5)) + 1
TX, TY = torch.from_numpy(X).float(), torch.from_numpy(Y).float()


def test_coral_is_the_papers() -> None:
    assert float(coral_loss(TX, TY)) == pytest.approx(slow.coral(X, Y), rel=1e-4)
    assert float(coral_loss(TX, TX + 3)) == pytest.approx(0, abs=1e-6), "means play no part"
    assert slow.coral(X, 2 * Y) != pytest.approx(slow.coral(X, Y), rel=0.1)


def test_mmd_is_tllibs() -> None:
    assert float(mmd_loss(TX, TY)) == pytest.approx(slow.dan(X, Y), rel=1e-4)
    assert float(mmd_loss(TX, TX + 2)) == pytest.approx(slow.dan(X, X + 2), rel=1e-4)
    assert float(mmd_loss(TX + 1000, TY + 1000)) == pytest.approx(slow.dan(X, Y), rel=1e-3), (
        "wherever both lie"
    )
    assert slow.dan(X, X + 2) > 5 * abs(slow.dan(X[:7], X[7:])), "a sabotage: the twin sees a shift"


@pytest.mark.parametrize("loss", [coral_loss, mmd_loss])
def test_one_row_varies_in_nothing_and_is_refused(loss) -> None:
    with pytest.raises(InvalidInput, match="1 and 4 rows; how features vary takes 2"):
        loss(torch.ones(1, 3), torch.eye(4, 3))


def test_mcc_is_tllibs_with_its_gradient() -> None:
    logits = torch.from_numpy(RANDOM.normal(size=(9, 4)) * 3).float()
    ours, theirs = (logits.clone().requires_grad_() for _ in range(2))
    a, b = mcc_loss(ours, temperature=2.5), slow.mcc(theirs, 2.5)
    assert a.item() == pytest.approx(b.item(), rel=1e-5)
    a.backward()
    b.backward()
    assert ours.grad is not None
    assert theirs.grad is not None
    assert torch.allclose(ours.grad, theirs.grad, atol=1e-6)
    assert slow.mcc(logits, 1.0).item() != pytest.approx(a.item(), rel=1e-2), "the temperature is seen"


def test_dann_is_tllibs_and_its_gradient_comes_back_reversed() -> None:
    torch.manual_seed(0)
    critic = Critic(5, 8)
    x, again = TX.clone().requires_grad_(), TX.clone().requires_grad_()
    ours, theirs = dann_loss(x, TY, critic, 0.3), slow.dann(again, TY, critic)
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-5)
    (critic_ours,) = torch.autograd.grad(ours, [critic.layers[0].weight], retain_graph=True)
    (critic_theirs,) = torch.autograd.grad(theirs, [critic.layers[0].weight], retain_graph=True)
    assert torch.allclose(critic_ours, critic_theirs, atol=1e-6), "the critic learns to tell"
    ours.backward()
    theirs.backward()
    assert x.grad is not None
    assert again.grad is not None
    assert torch.allclose(x.grad, -strength_at(0.3) * again.grad, atol=1e-7), "and the features to hide"
    assert float(again.grad.abs().max()) > 1e-5
    assert torch.equal(reverse(TX, 0.7), TX)
    with pytest.raises(InvalidInput, match="critic"):
        dann_loss(TX, TY, None, 0.5)


def test_pseudo_labels_are_the_surest_of_each_class() -> None:
    logits = np.array([[3.0, 0], [2, 0], [1, 0], [0.5, 0], [0, 4], [0, 1]])
    assert sure_labels(logits, 0.5).tolist() == [0, 0, -1, -1, 1, -1]
    assert sure_labels(logits, 1.0).tolist() == [0, 0, 0, 0, 1, 1]
    some = torch.from_numpy(logits).float()
    wanted = nn.functional.cross_entropy(some[[0, 4]], torch.tensor([0, 1]))
    assert float(pseudo_loss(some, torch.tensor([0, -1, -1, -1, 1, -1]))) == pytest.approx(float(wanted))


def test_recolouring_is_scipys_and_skadas() -> None:
    x, y = (
        RANDOM.normal(size=(60, 4)) @ RANDOM.normal(size=(4, 4)),
        RANDOM.normal(size=(50, 4)) * [1, 2, 3, 4] + 5,
    )
    ours = recolouring(x, y, shrink=0.0)(x)
    assert np.allclose(ours, slow.recoloured(x, y), atol=1e-3)
    assert np.allclose(np.cov(ours.T), np.cov(y.T), atol=1e-3)
    assert np.allclose(ours.mean(0), y.mean(0), atol=1e-3)
    assert not np.allclose(recolouring(x, y, shrink=1.0)(x), ours, atol=0.1), "shrinking is seen"
    assert np.allclose(recolouring(x, x)(x), x, atol=1e-4), "nothing to do, nothing done"


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 12), st.integers(2, 12), st.integers(1, 20), st.floats(0.0, 10.0))
def test_recolouring_is_finite_with_fewer_rows_than_dimensions(
    n: int, m: int, dim: int, shrink: float
) -> None:
    random = np.random.default_rng(n * 100 + m)
    found = recolouring(random.normal(size=(n, dim)), random.normal(size=(m, dim)), shrink=shrink)
    assert np.isfinite(found.matrix).all()
    assert np.isfinite(found.shift).all()


@pytest.mark.parametrize(
    ("x", "shrink"), [(X[:1], 1.0), (np.ones((5, 5)), 1.0), (X, -1.0), (X, float("nan"))]
)
def test_recolouring_says_what_it_cannot_do(x: np.ndarray, shrink: float) -> None:
    with pytest.raises(InvalidInput, match=r"two different rows|0 or more"):
        recolouring(x, Y, shrink=shrink)


def test_criteria_are_the_papers() -> None:
    logits = RANDOM.normal(size=(12, 4)) * 2
    assert criteria.information(logits) == pytest.approx(slow.information(logits), rel=1e-9)
    assert criteria.soft_density(logits) == pytest.approx(slow.density(logits), rel=1e-9)
    teach, held, target = (RANDOM.normal(size=(40, 3)) + shift for shift in (0.0, 0.0, 0.8))
    codes = RANDOM.integers(0, 4, 40)
    said, rows = RANDOM.normal(size=(40, 4)) + 2 * np.eye(4)[codes], target + np.eye(4, 3)[codes]
    ours = criteria.reverse_validation(said, rows, held + np.eye(4, 3)[codes], codes)
    assert ours == slow.reverse(said, rows, held + np.eye(4, 3)[codes], codes)
    assert ours != slow.reverse(said[::-1], rows, held + np.eye(4, 3)[codes], codes), "a sabotage"
    losses = RANDOM.uniform(0, 2, 40)
    weights = criteria.density_ratio(teach, held, target)
    assert criteria.deep_validation(teach, held, target, losses) == pytest.approx(
        -slow.validation(weights, losses), rel=1e-9
    )
    assert weights[held.sum(1).argmax()] > weights[held.sum(1).argmin()], (
        "what looks like the target counts more"
    )


def test_silhouette_is_sklearns_on_centred_scores_and_clarity_the_product() -> None:
    metrics = pytest.importorskip("sklearn.metrics", reason="scikit-learn is in the extra lab")
    logits = RANDOM.normal(size=(30, 5)) + 2 * np.eye(5)[RANDOM.integers(0, 4, 30)] + 1
    logits[7] = [0, 0, 0, 0, 9]  # most likely alone in its class, or among few
    ours, said = criteria.silhouette(logits), logits.argmax(1)
    centred = logits - logits.mean(1, keepdims=True)
    assert ours == pytest.approx(slow.silhouette(logits), rel=1e-9)
    assert ours == pytest.approx(metrics.silhouette_score(centred, said, metric="cosine"), rel=1e-9)
    assert ours != pytest.approx(metrics.silhouette_score(logits, said, metric="cosine"), rel=0.02), (
        "a sabotage: without centring"
    )
    assert ours != pytest.approx(metrics.silhouette_score(centred, said), rel=0.02), "and by distance"
    alone = np.concatenate([3 * np.eye(3)[[0, 0, 1, 1]] + RANDOM.normal(size=(4, 3)) * 0.1, [[0, 0, 5.0]]])
    assert criteria.silhouette(alone) == pytest.approx(slow.silhouette(alone), rel=1e-9), "one counts 0"
    assert criteria.silhouette(alone) <= 0.8
    assert criteria.clarity(logits) == pytest.approx(criteria.information(logits) * ours, rel=1e-9)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 20), st.integers(2, 6), st.floats(0.1, 50.0))
def test_silhouette_does_not_care_how_large_scores_are(n: int, k: int, scale: float) -> None:
    """Which is where information fails: the same answers, only louder, look better to it."""
    random = np.random.default_rng(n * 10 + k)
    logits = random.normal(size=(n, k))
    louder = scale * (logits + random.normal(size=(n, 1)))
    found = criteria.silhouette(logits)
    assert -1 <= found <= 1
    assert criteria.silhouette(louder) == pytest.approx(found, abs=1e-6)
    assert criteria.clarity(logits) >= 0
    if k == 2 and len(set(logits.argmax(1).tolist())) == 2 and min(np.bincount(logits.argmax(1))) > 1:
        assert found == pytest.approx(1.0), "of two classes nothing but infomax is left"
    known = 3 * np.eye(4)[np.arange(40) % 4] + np.random.default_rng(0).normal(size=(40, 4))
    assert criteria.information(2 * known) > criteria.information(known) + 0.1, "information does care"


def test_criteria_like_what_is_better() -> None:
    """Sure and even predictions before unsure ones, and before one class for all."""
    codes = np.arange(40) % 4
    good = 6 * np.eye(4)[codes] + RANDOM.normal(size=(40, 4)) * 0.1
    unsure, one = RANDOM.normal(size=(40, 4)), np.tile([8.0, 0, 0, 0], (40, 1))
    for criterion in (criteria.information, criteria.silhouette, criteria.clarity):
        assert criterion(good) > criterion(unsure) >= criterion(one), criterion
    rows = 3 * np.eye(4)[codes] + RANDOM.normal(size=(40, 4)) * 0.1
    source = 3 * np.eye(4)[codes] + RANDOM.normal(size=(40, 4)) * 0.1
    assert criteria.reverse_validation(good, rows, source, codes) == 1
    assert criteria.reverse_validation(good[:, [1, 0, 2, 3]], rows, source, codes) == 0.5, (
        "two classes exchanged"
    )
    assert criteria.reverse_validation(one, rows, source, codes) <= 0.5, (
        "all lost to one: the others lie nowhere"
    )
    with pytest.raises(InvalidInput, match="finite"):
        criteria.information(np.array([[np.nan, 1.0]]))


@pytest.mark.parametrize("folded", [False, True])
def test_adabn_has_the_targets_statistics_in_every_layer(folded: bool) -> None:
    """Seen in one batch, an adapted network in eval mode does what training mode does on that batch."""
    net = network()
    source, target = torch.rand(96, 3, 32, 32), torch.rand(96, 3, 32, 32) * 0.3
    with torch.no_grad():
        net.module.train()(source)  # some statistics
        net.module.eval()
        if folded:
            for norm in norms_of(net.module):
                scale = norm.weight / (norm.running_var + norm.eps).sqrt()
                norm.bias.sub_(norm.running_mean * scale)
                norm.weight.copy_(scale)
                norm.running_mean.zero_()
                norm.running_var.fill_(1 - norm.eps)
    before = {k: v.clone() for k, v in net.module.state_dict().items()}
    found = adabn(net, lambda: [source[:40], source[40:]], lambda: [target])
    assert all(torch.equal(v, before[k]) for k, v in net.module.state_dict().items()), "a copy is adapted"
    with torch.no_grad():
        ours = found.module(target)
        there = network()
        there.module.load_state_dict(before)
        rebase(there.module, [source[:40], source[40:]])
        assert torch.allclose(there.module(source), net.module(source), atol=1e-4), "rebasing changes nothing"
        wanted = there.module.train()(target)
    assert torch.allclose(ours, wanted, atol=0.02 * float(wanted.abs().max()))
    assert not torch.allclose(net.module(target), wanted, atol=0.05 * float(wanted.abs().max()))


def test_adabn_of_a_network_without_batch_norm_is_told() -> None:
    with pytest.raises(InvalidInput, match="no batch norm"):
        adabn(network("test_vit", 160), list, list)


def test_the_change_has_an_interval_that_holds() -> None:
    """Coverage of the interval for matched pairs, over 300 draws with a known difference of .1."""
    random, inside = np.random.default_rng(0), 0
    for _ in range(300):
        before = random.random(200) < 0.6
        after = np.where(before, random.random(200) < 0.95, random.random(200) < 0.325)  # .57 + .13
        found = change(before, after)
        inside += found.interval[0] <= 0.1 <= found.interval[1]
    assert 0.92 <= inside / 300 <= 0.99


def test_adabn_counts_a_small_last_batch_as_little_as_it_has() -> None:
    net = network("test_resnet")
    random = torch.Generator().manual_seed(0)
    source, target = (torch.rand(66, 3, 32, 32, generator=random) for _ in range(2))
    found = adabn(net, lambda: [source], lambda: target.split(64))
    even = adabn(net, lambda: [source], lambda: target.split(33))
    first, other = (norms_of(one.module)[0] for one in (found, even))
    assert first.running_mean is not None
    assert other.running_mean is not None
    assert torch.allclose(first.running_mean, other.running_mean, atol=1e-6)
