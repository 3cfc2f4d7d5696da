"""Self-supervised losses against lightly and pytorch-metric-learning; each check can fail (sabotage)."""

from __future__ import annotations

import math
from inspect import unwrap

import pytest
import torch

from featurelens.adapt.losses import barlow_twins, negative_cosine, nt_xent, vicreg
from featurelens.errors import InvalidInput

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


@pytest.fixture
def views() -> tuple[torch.Tensor, torch.Tensor]:
    source = torch.Generator().manual_seed(3)
    a = torch.randn(48, 24, generator=source)
    return a, a + 0.7 * torch.randn(48, 24, generator=source)


def lightly_loss(name: str, **options: float):
    loss = pytest.importorskip("lightly.loss", reason="lightly is the oracle")
    return getattr(loss, name)(**options)


@pytest.mark.parametrize("temperature", [0.05, 0.2, 1.0])
def test_nt_xent_equals_lightly(views, temperature):
    theirs = lightly_loss("NTXentLoss", temperature=temperature)(*views)
    assert abs(nt_xent(*views, temperature=temperature) - theirs) <= 1e-6


def test_nt_xent_equals_pytorch_metric_learning(views):
    from pytorch_metric_learning.losses import NTXentLoss, SelfSupervisedLoss

    theirs = SelfSupervisedLoss(NTXentLoss(temperature=0.2))(*views)
    assert abs(nt_xent(*views, temperature=0.2) - theirs) <= 1e-6


def test_sabotage_keeping_the_diagonal_is_noticed(views):
    z = torch.nn.functional.normalize(torch.cat(views), dim=1)
    kept = torch.nn.functional.cross_entropy(z @ z.T / 0.2, torch.arange(96).roll(48))
    assert abs(nt_xent(*views, temperature=0.2) - kept) > 1e-3


def test_nt_xent_of_bf16_inputs_has_the_gradient_of_fp64(views):
    low = [v.bfloat16().requires_grad_() for v in views]
    with torch.autocast("cpu", torch.bfloat16):
        nt_xent(*low).backward()
    high = [v.detach().double().requires_grad_() for v in low]
    z = torch.nn.functional.normalize(torch.cat(high), dim=1)
    similarity = (z @ z.T / 0.2).masked_fill(torch.eye(96, dtype=torch.bool), -torch.inf)
    torch.nn.functional.cross_entropy(similarity, torch.arange(96).roll(48)).backward()
    for a, b in zip(low, high, strict=True):
        cosine = torch.cosine_similarity(a.grad.double().flatten(), b.grad.flatten(), dim=0)
        assert cosine >= 0.9999


def test_nt_xent_of_identical_orthogonal_views_is_known():
    count, temperature = 8, 0.5
    e = torch.eye(count)
    expected = math.log1p((2 * count - 2) * math.exp(-1 / temperature))
    assert abs(nt_xent(e, e, temperature=temperature) - expected) < 1e-6


def test_vicreg_equals_lightly(views):
    a, b = (0.4 * v for v in views)
    theirs = lightly_loss("VICRegLoss", lambda_param=25.0, mu_param=25.0, nu_param=1.0)(a, b)
    assert abs(vicreg(a, b) - theirs) <= 1e-6 * max(1, abs(theirs))


def test_sabotage_vicreg_without_its_covariance_is_noticed(views):
    assert abs(vicreg(*views) - vicreg(*views, covariance=0.0)) > 1e-2


def test_barlow_twins_equals_lightly(views):
    theirs = lightly_loss("BarlowTwinsLoss", lambda_param=5e-3)(*views)
    assert abs(barlow_twins(*views) - theirs) <= 1e-6 * max(1, abs(theirs))


def test_sabotage_barlow_with_exchanged_partners_is_noticed(views):
    assert abs(barlow_twins(*views) - barlow_twins(views[0], views[1].roll(1, 0))) > 1


def test_negative_cosine_equals_lightly_and_stops_the_target(views):
    prediction, target = (v.clone().requires_grad_() for v in views)
    ours = negative_cosine(prediction, target)
    assert abs(ours - lightly_loss("NegativeCosineSimilarity")(*views)) <= 1e-6
    ours.backward()
    assert prediction.grad is not None
    assert target.grad is None
    # sabotage: without the stop the target would be trained as well
    (-torch.cosine_similarity(prediction, target).mean()).backward()
    assert target.grad is not None


def test_vicreg_equals_pytorch_metric_learning(views):
    from pytorch_metric_learning.losses import VICRegLoss

    theirs = VICRegLoss(invariance_lambda=25, variance_mu=25, covariance_v=1)(views[0], ref_emb=views[1])
    ours = vicreg(*views)
    assert abs(ours - theirs) <= 1e-6 * max(1, abs(theirs))


def cross_correlation(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Barlow Twins' formula, slowly: a loop over the entries of the matrix."""
    a, b = ((x - x.mean(0)) / (x.var(0, unbiased=False) + 1e-5).sqrt() for x in (a, b))
    total = torch.zeros((), dtype=a.dtype)
    for i in range(a.shape[1]):
        for j in range(b.shape[1]):
            entry = (a[:, i] * b[:, j]).mean()
            total = total + ((entry - 1) ** 2 if i == j else 5e-3 * entry**2)
    return total


def vicreg_in_double(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """VICReg's formula on whatever precision comes in."""
    total = 25 * (a - b).square().mean()
    for x in (a, b):
        total = total + 12.5 * (1 - (x.var(0) + 1e-4).sqrt()).relu().mean()
        shared = torch.cov(x.mT)
        total = total + (shared.square().sum() - shared.diagonal().square().sum()) / x.shape[1]
    return total


@pytest.mark.parametrize(
    ("ours", "slow"),
    [
        (vicreg, vicreg_in_double),
        (barlow_twins, cross_correlation),
        (negative_cosine, lambda a, b: -torch.cosine_similarity(a, b.detach(), dim=1).mean()),
    ],
    ids=["vicreg", "barlow", "negative cosine"],
)
def test_the_others_too_have_the_gradient_of_fp64_for_bf16_inputs(views, ours, slow):
    low = [v.bfloat16().requires_grad_() for v in views]
    with torch.autocast("cpu", torch.bfloat16):
        ours(*low).backward()
    high = [v.detach().double().requires_grad_() for v in low]
    slow(*high).backward()
    for a, b in zip(low, high, strict=True):
        if b.grad is None:
            assert a.grad is None
            continue
        assert torch.cosine_similarity(a.grad.double().flatten(), b.grad.flatten(), dim=0) >= 0.9999


@pytest.mark.parametrize("objective", ["byol", "simsiam"])
def test_a_step_of_byol_and_simsiam_equals_lightlys_parts(objective):
    """One loss over two views through encoder, projector and predictor, put together as lightly's examples do."""
    from dataclasses import replace

    from featurelens.adapt.contrastive import follow, loss_of
    from featurelens.adapt.learner import Learner
    from featurelens.adapt.recipe import Recipe

    recipe = Recipe(options={"channels": [8, 8, 8, 8]}, phases=((1, 32, 8),), projector=(16, 8))
    recipe = replace(recipe, objective=objective)
    torch.manual_seed(0)
    learner, target = Learner(recipe).eval(), Learner(recipe).eval()
    a, b = torch.rand(6, 3, 32, 32), torch.rand(6, 3, 32, 32)
    cosine = lightly_loss("NegativeCosineSimilarity")
    other = target if objective == "byol" else learner
    with torch.no_grad():
        p0, p1 = learner.predictor(learner(a)), learner.predictor(learner(b))
        theirs = 0.5 * (cosine(p0, other(b)) + cosine(p1, other(a)))
        ours = loss_of(recipe, learner, target, [a, b])
        assert abs(ours - theirs) <= 1e-6
        wrong = 0.5 * (cosine(p0, other(a)) + cosine(p1, other(b)))
        assert abs(ours - wrong) > 1e-6, "sabotage: each view against its own target"
        if objective == "byol":
            from copy import deepcopy

            from lightly.models.utils import update_momentum

            mine, peer = deepcopy(target), deepcopy(target)
            follow(mine, learner, 0.9)
            update_momentum(learner, peer, m=0.9)
            for x, y in zip(mine.parameters(), peer.parameters(), strict=True):
                assert (x - y).abs().max() <= 1e-6


def test_the_online_knn_equals_lightlys():
    from lightly.utils.benchmarking import knn_predict

    from featurelens.adapt.monitor import knn_accuracy

    source = torch.Generator().manual_seed(0)
    labels = torch.arange(60) % 3
    rows = torch.nn.functional.normalize(torch.eye(3)[labels] + torch.randn(60, 3, generator=source), dim=1)
    right = 0
    for row in range(60):
        rest = torch.arange(60) != row
        theirs = knn_predict(
            rows[row : row + 1], rows[rest].T, labels[rest], num_classes=3, knn_k=10, knn_t=0.1
        )
        right += int(theirs[0, 0] == labels[row])
    found = knn_accuracy(rows, labels, k=10)
    assert found == pytest.approx(right / 60)
    assert found < 0.95, "sabotage: a row that may find itself would always be right"


@pytest.mark.parametrize("loss", [nt_xent, vicreg, barlow_twins, negative_cosine])
def test_what_are_no_two_views_of_the_same_images_is_told(loss):
    three, one = torch.randn(3, 4), torch.randn(1, 4)
    for a, b in ((three, three[:2]), (three, three[:, :2]), (one, one), (three[0], three[0])):
        with pytest.raises(InvalidInput, match="2 images or more"):
            unwrap(loss)(a, b)  # as users have it, without the shape checks of the tests


@pytest.mark.parametrize("temperature", [0.0, -0.1, math.nan])
def test_a_temperature_that_is_none_is_told(views, temperature):
    with pytest.raises(InvalidInput, match="above 0"):
        nt_xent(*views, temperature=temperature)


@pytest.mark.parametrize("temperature", [1e-30, 1e-6, 1e6, 1e30])
def test_extreme_temperatures_have_finite_gradients(views, temperature):
    a, b = (v.clone().requires_grad_() for v in views)
    nt_xent(a, b, temperature=temperature).backward()
    assert bool(a.grad.isfinite().all() & b.grad.isfinite().all())
