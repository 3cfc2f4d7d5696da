"""Integrated gradients: captum's Gauss-Legendre rule, closed forms, and completeness are the oracles."""

from __future__ import annotations

import pytest
import torch
from captum.attr import IntegratedGradients
from hypothesis import given, settings
from hypothesis import strategies as st
from jaxtyping import TypeCheckError
from scipy.stats import spearmanr

from featurelens.errors import InvalidInput
from featurelens.see.integrated import integrated_gradients
from fixtures.scored_nets import class_of, conv, images


def captums(net: torch.nn.Module, x: torch.Tensor, baseline: torch.Tensor, steps: int) -> torch.Tensor:
    ig = IntegratedGradients(net)
    return ig.attribute(x.clone(), baseline, target=2, n_steps=steps, method="gausslegendre")


@pytest.mark.parametrize("chunk", [1, 7, 16, 200])
def test_it_is_captums_to_the_last_digits(chunk: int) -> None:
    net, x = conv(), images(3)
    baseline = 0.1 * images(3, seed=9)
    found = integrated_gradients(class_of(net), x, baseline, steps=20, tolerance=None, chunk=chunk)
    theirs = captums(net, x, baseline, 20)
    assert (found.values - theirs).abs().max() <= 1e-6 * theirs.abs().max()
    assert found.steps == (20, 20, 20)


def test_in_single_precision_too() -> None:
    net, x = conv().float(), images(2).float()
    found = integrated_gradients(class_of(net), x, 0 * x, steps=50, tolerance=None).values
    theirs = captums(net, x, 0 * x, 50)
    assert (found - theirs).abs().max() <= 1e-4 * theirs.abs().max()
    assert spearmanr(found.ravel(), theirs.ravel()).statistic >= 0.9999


def test_the_comparison_sees_another_rule() -> None:
    """Sabotage: captum's trapezia, whose weights do not sum to 1, miss by far more than what is allowed."""
    net, x = conv(), images(2)
    found = integrated_gradients(class_of(net), x, 0 * x, steps=20, tolerance=None).values
    other = IntegratedGradients(net).attribute(x, 0 * x, target=2, n_steps=20, method="riemann_trapezoid")
    assert (found - other).abs().max() > 1e-3 * other.abs().max()


def test_a_linear_score_gives_weight_times_difference() -> None:
    weights, x, baseline = images(1)[0], images(2, seed=2), images(2, seed=3)
    found = integrated_gradients(lambda x, _: (x * weights).flatten(1).sum(1) + 7, x, baseline)
    assert torch.allclose(found.values, weights * (x - baseline), atol=1e-12)
    assert found.gap.max() <= 1e-12
    assert found.steps == (32, 32)


def test_a_relu_network_without_biases_from_zero_gives_input_times_gradient() -> None:
    from featurelens.see.gradients import input_x_gradient

    net, x = conv(bias=False), images(2)
    found = integrated_gradients(class_of(net), x, 0 * x, steps=8)
    assert torch.allclose(found.values, input_x_gradient(class_of(net), x), atol=1e-12)


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10_000), chunk=st.integers(1, 40))
def test_the_gap_is_what_it_says_and_within_the_tolerance_unless_all_steps_are_spent(
    seed: int, chunk: int
) -> None:
    net, x = conv(seed=seed), 3 * images(2, seed=seed)
    found = integrated_gradients(
        class_of(net), x, 0 * x, steps=8, tolerance=1e-3, max_steps=4096, chunk=chunk
    )
    with torch.no_grad():
        rise = net(x)[:, 2] - net(0 * x)[:, 2]
    gap = (found.values.flatten(1).sum(1) - rise).abs() / rise.abs()
    assert torch.allclose(gap, found.gap, rtol=1e-3, atol=1e-9)
    # A rise near zero between two large scores; halving all pieces takes twice the points used so far.
    spent = torch.tensor(found.steps) > 4096 / 3
    assert ((gap <= 1e-3) | spent).all()


def test_only_images_that_need_it_get_more_steps() -> None:
    weights = images(1)[0]

    def score(x: torch.Tensor, which: torch.Tensor) -> torch.Tensor:
        line = (x * weights).flatten(1).sum(1) / weights.square().sum()
        return torch.where(which == 0, line, torch.tanh(200 * (line - 0.37)))

    x = weights.expand(2, -1, -1, -1)
    found = integrated_gradients(score, x, 0 * x, steps=8, max_steps=2048)
    assert found.steps[0] == 8
    assert 8 < found.steps[1] < 200, "the pieces around the jump are refined, not the whole line"
    assert found.gap.max() <= 0.01
    few = integrated_gradients(score, x, 0 * x, steps=8, max_steps=8)
    assert few.gap[1] > 0.01, "without more steps the gap stays, and is told"


def test_fewer_passes_than_a_left_sum_at_the_same_gap() -> None:
    net, x = conv(torch.nn.GELU), 2 * images(3)
    found = integrated_gradients(class_of(net), x, 0 * x, steps=8, tolerance=None)
    for steps in (8, 16):
        ig = IntegratedGradients(net)
        theirs = ig.attribute(x, 0 * x, target=2, n_steps=steps, method="riemann_left")
        rise = found.score - found.base
        gap = (theirs.flatten(1).sum(1) - rise).abs() / rise.abs()
        assert (gap > found.gap).all()


def test_a_score_that_does_not_rise_has_no_gap_to_speak_of() -> None:
    x = images(1)
    found = integrated_gradients(lambda x, _: 0 * x.flatten(1).sum(1) + 3, x, 0 * x)
    assert not found.values.any()
    assert found.gap.tolist() == [0]


def test_what_does_not_fit_is_refused() -> None:
    net, x = conv(), images(1)
    with pytest.raises((InvalidInput, TypeCheckError)):  # the tests check shapes before the function does
        integrated_gradients(class_of(net), x, x[..., :4])
    with pytest.raises(InvalidInput, match="steps=0"):
        integrated_gradients(class_of(net), x, x, steps=0)
