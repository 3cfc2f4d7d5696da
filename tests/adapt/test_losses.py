"""Self-supervised losses against lightly and pytorch-metric-learning; each check can fail (sabotage)."""

from __future__ import annotations

import math

import pytest
import torch

from featurelens.adapt.losses import barlow_twins, negative_cosine, nt_xent, vicreg

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
    assert abs(vicreg(a, b) - theirs) <= 1e-5 * abs(theirs)


def test_sabotage_vicreg_without_its_covariance_is_noticed(views):
    assert abs(vicreg(*views) - vicreg(*views, covariance=0.0)) > 1e-2


def test_barlow_twins_equals_lightly(views):
    theirs = lightly_loss("BarlowTwinsLoss", lambda_param=5e-3)(*views)
    assert abs(barlow_twins(*views) - theirs) <= 1e-5 * abs(theirs)


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
