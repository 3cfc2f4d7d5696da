"""Saliency, input × gradient, SmoothGrad: captum, finite differences and closed forms are the oracles."""

from __future__ import annotations

import pytest
import torch
from captum.attr import InputXGradient, Saliency

from featurelens.errors import InvalidInput
from featurelens.see.gradients import input_x_gradient, saliency, smoothgrad
from featurelens.see.score import gradient
from fixtures.scored_nets import class_of, conv, images


def close(a: torch.Tensor, b: torch.Tensor) -> bool:
    return bool((a - b).abs().max() <= 1e-6 * b.abs().max())


def test_saliency_is_captums_with_its_sign() -> None:
    net, x = conv(), images()
    theirs = Saliency(net).attribute(x.clone().requires_grad_(), target=2, abs=False)
    assert close(saliency(class_of(net), x, chunk=2), theirs)
    assert (theirs < 0).any()
    assert not close(saliency(class_of(net, 3), x), theirs), "sabotage: another class is another map"


def test_input_x_gradient_is_captums() -> None:
    net, x = conv(torch.nn.GELU), images()
    theirs = InputXGradient(net).attribute(x.clone().requires_grad_(), target=2)
    assert close(input_x_gradient(class_of(net), x, chunk=1), theirs)


def test_the_gradient_is_that_of_finite_differences() -> None:
    net, x = conv(torch.nn.Softplus), images(1, 8)
    found = saliency(class_of(net), x)
    step = 1e-5
    for at in ((0, 0, 0, 0), (0, 1, 3, 5), (0, 2, 7, 7)):
        up, down = x.clone(), x.clone()
        up[at] += step
        down[at] -= step
        slope = (net(up)[0, 2] - net(down)[0, 2]) / (2 * step)
        assert abs(slope - found[at]) <= 1e-7 * found.abs().max()


def test_smoothgrad_of_a_linear_score_is_its_weights() -> None:
    weights = images(1)[0]
    found = smoothgrad(lambda x, _: (x * weights).flatten(1).sum(1), images(2), samples=3)
    assert close(found, weights.expand_as(found))


def test_smoothgrad_is_the_mean_over_the_noisy_copies_one_by_one() -> None:
    net, x = conv(), images(2)
    found = smoothgrad(class_of(net), x, samples=5, noise=0.2, seed=4, chunk=3)
    for i, image in enumerate(x):
        noise, random = 0.2 * (image.max() - image.min()), torch.Generator().manual_seed(4)
        slopes = []
        for _copy in range(5):
            drawn = torch.randn(image.shape, generator=random, dtype=torch.float64)
            slopes.append(saliency(class_of(net), (image + noise * drawn)[None])[0])
        assert close(found[i], torch.stack(slopes).mean(0))
    other = smoothgrad(class_of(net), x, samples=5, noise=0.2, seed=5, chunk=3)
    assert not close(other, found)


def test_chunks_and_company_change_nothing() -> None:
    net, x = conv(), images(3)
    for method in (saliency, smoothgrad):
        whole = method(class_of(net), x, chunk=64)
        assert close(method(class_of(net), x, chunk=1), whole)
        assert close(method(class_of(net), x[:1]), whole[:1])


def test_a_score_without_a_gradient_says_so() -> None:
    net, x = conv(), images(1)
    with pytest.raises(InvalidInput, match="does not depend on the image"):
        gradient(lambda x, _: net(x).argmax(1).double(), x, torch.zeros(1, dtype=torch.long))
    with pytest.raises(InvalidInput, match="one number for each of 1 images; it gave shape"):
        saliency(lambda x, _: net(x), x)
    with pytest.raises(InvalidInput, match="chunk=0"):
        saliency(class_of(net), x, chunk=0)
