"""Occlusion: captum and a closed form are the oracles."""

from __future__ import annotations

import pytest
import torch
from captum.attr import Occlusion

from featurelens.errors import InvalidInput
from featurelens.see.occlusion import occlusion
from fixtures.scored_nets import class_of, conv, images


@pytest.mark.parametrize(("window", "stride"), [(4, 4), (5, 2), (6, 6), (16, 16)])
def test_it_is_captums(window: int, stride: int) -> None:
    net, x = conv().float(), images(2).float()  # captum's mask is in single precision
    found = occlusion(class_of(net), x, torch.zeros_like(x), window=window, stride=stride, chunk=5)
    theirs = Occlusion(net).attribute(
        x, (3, window, window), strides=(3, stride, stride), baselines=0, target=2
    )
    assert torch.allclose(found, theirs[:, 0], atol=1e-5)
    assert theirs.std() > 0 or window == 16


def test_a_linear_score_loses_what_the_window_held() -> None:
    weights, x, cover = images(1)[0], images(1, seed=2), images(1, seed=3)
    found = occlusion(lambda x, _: (x * weights).flatten(1).sum(1), x, cover, window=4, stride=4)
    lost = (weights * (x - cover)).sum(1)
    wanted = lost.reshape(1, 4, 4, 4, 4).sum((2, 4)).repeat_interleave(4, 1).repeat_interleave(4, 2)
    assert torch.allclose(found, wanted, atol=1e-12)
    assert not torch.allclose(found, wanted.flip(1)), "sabotage: upside down"


def test_windows_that_leave_gaps_or_do_not_fit_are_refused() -> None:
    net, x = conv(), images(1)
    for window, stride in ((4, 5), (17, 4), (4, -1), (0, 1), (4, 0)):
        with pytest.raises(InvalidInput, match=f"window={window}"):
            occlusion(class_of(net), x, x, window=window, stride=stride)
