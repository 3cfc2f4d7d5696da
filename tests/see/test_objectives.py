"""Objectives: what each one measures, how they are joined, and how a user writes them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from featurelens.errors import InvalidInput, LayerError

torch = pytest.importorskip("torch")

from featurelens.see.objectives import (  # noqa: E402
    channel,
    direction,
    diverse,
    embedding_like,
    logit,
    neuron,
)
from featurelens.see.reading import LOGITS  # noqa: E402
from featurelens.see.spoken import as_objectives, spoken  # noqa: E402
from fixtures.drawn import drawing  # noqa: E402
from fixtures.small_nets import small_net  # noqa: E402

torch.manual_seed(0)
MAP = {"a": torch.randn(4, 3, 5, 6), "b": torch.randn(4, 7), LOGITS: torch.randn(4, 9)}


def test_a_channel_is_its_mean_over_places_and_of_a_vector_the_value() -> None:
    by_hand = [sum(float(v) for v in image[2].flatten()) / 30 for image in MAP["a"]]
    torch.testing.assert_close(channel("a", 2).score(MAP), torch.tensor(by_hand))
    torch.testing.assert_close(channel("b", 6).score(MAP), MAP["b"][:, 6])


def test_a_neuron_is_one_place_by_default_the_middle() -> None:
    torch.testing.assert_close(neuron("a", 1, (4, 0)).score(MAP), MAP["a"][:, 1, 4, 0])
    torch.testing.assert_close(neuron("a", 1).score(MAP), MAP["a"][:, 1, 2, 3])


def test_a_direction_along_an_axis_is_a_channel_and_focus_asks_for_little_else() -> None:
    axis = direction("a", [0.0, 5.0, 0.0], focus=0)
    torch.testing.assert_close(axis.score(MAP), channel("a", 1).score(MAP))
    alone = {"a": torch.tensor([[[[2.0]], [[0.0]]], [[[2.0]], [[7.0]]]])}
    kept = direction("a", [1.0, 0.0], focus=1).score(alone)
    cosine = 2 / (2**2 + 7**2) ** 0.5
    torch.testing.assert_close(kept, torch.tensor([2.0, 2 * cosine]))


def test_a_logit_is_the_networks_own_class_score() -> None:
    torch.testing.assert_close(logit(8).score(MAP), MAP[LOGITS][:, 8])


def test_the_embedding_of_an_image_is_most_like_itself() -> None:
    net = small_net()
    images = [drawing(i, (32, 32)) for i in range(4)]
    from featurelens.see.reading import EMBEDDING, Reading

    x = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2) / 255
    with torch.no_grad():
        scores = embedding_like(net, images[2]).score(Reading(net, [EMBEDDING], (32, 32))(x))
    assert scores[2] == pytest.approx(1, abs=1e-5)
    assert scores.argmax() == 2


def test_sums_differences_and_factors() -> None:
    joined = channel("a", 0) - 2 * logit(3) + channel("b", 1)
    by_hand = channel("a", 0).score(MAP) - 2 * MAP[LOGITS][:, 3] + MAP["b"][:, 1]
    torch.testing.assert_close(joined.score(MAP), by_hand)
    assert joined.layers == ("a", LOGITS, "b")
    assert (channel("a", 0) - (channel("a", 1) - channel("a", 2))).name == "a:0-(a:1-a:2)"
    torch.testing.assert_close((-logit(3)).score(MAP), -MAP[LOGITS][:, 3])


def test_diversity_costs_copies_that_are_alike_and_not_those_that_differ() -> None:
    texture = torch.randn(1, 3, 5, 6)
    same = {"a": texture.expand(2, -1, -1, -1)}
    two = diverse(channel("a", 0), 2, weight=0.5)
    assert two.apart is not None
    strong = {"a": same["a"] + torch.tensor([9.0, 0, 0]).view(3, 1, 1)}
    torch.testing.assert_close(two.apart(strong), -0.5 * channel("a", 0).score(strong))
    weak = {
        "a": same["a"] - same["a"].mean((2, 3), keepdim=True)
    }  # a score of nothing: what is typical of the layer
    torch.testing.assert_close(two.apart(weak), -0.5 * weak["a"].square().mean((1, 2, 3)).sqrt())
    torch.testing.assert_close((3 * two).apart(weak), 3 * two.apart(weak))
    expected = two.apart(same)
    assert float(expected.max()) < 0
    shuffled = torch.cat([texture, texture.flatten(2)[:, :, torch.randperm(30)].view_as(texture)])
    torch.testing.assert_close(two.apart({"a": shuffled}), expected, rtol=1e-4, atol=1e-5)
    other = torch.zeros(2, 3, 1, 1)
    other[0, 0], other[1, 1] = 1, 1  # Gram matrices without a common entry
    assert two.apart({"a": other}).tolist() == [0, 0]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("layer3:42", ["layer3:42"]),
        ("blocks.3.conv_pw:0-2", [f"blocks.3.conv_pw:{i}" for i in range(3)]),
        ("a:1,5-6@center", ["a:1@center", "a:5@center", "a:6@center"]),
        ("a@1:4@2,3", ["a@1:4@2,3"]),
        ("logit:281", ["logit:281"]),
        ("a:1 + b:2 - 0.5*logit:7", ["a:1+b:2-0.5*logit:7"]),
    ],
)
def test_what_users_write(text: str, names: list[str]) -> None:
    assert [one.name for one in spoken(text)] == names


def test_what_is_written_is_what_is_scored() -> None:
    written = spoken("a:1 + a:0@4,5 - 0.5*logit:7")[0]
    by_hand = MAP["a"][:, 1].mean((1, 2)) + MAP["a"][:, 0, 4, 5] - 0.5 * MAP[LOGITS][:, 7]
    torch.testing.assert_close(written.score(MAP), by_hand)


@given(st.text(alphabet="ab.:@0123456789-+*, ", max_size=14))
def test_any_text_is_understood_or_explained(text: str) -> None:
    try:
        assert spoken(text)
    except InvalidInput as error:
        assert "layer3:42" in str(error) or "range" in str(error) or "a sum takes" in str(error)  # noqa: PT017


def test_errors_name_what_there_is() -> None:
    with pytest.raises(InvalidInput, match="units 0 to 2; there is no unit 3"):
        channel("a", 3).score(MAP)
    with pytest.raises(InvalidInput, match="outside the 5 x 6 map"):
        neuron("a", 0, (5, 0)).score(MAP)
    with pytest.raises(LayerError, match="vectors"):
        neuron("b", 0).score(MAP)
    with pytest.raises(InvalidInput, match="7 channels"):
        direction("b", [1.0, 2.0]).score(MAP)
    with pytest.raises(InvalidInput, match="Nothing to show"):
        as_objectives([])
    with pytest.raises(InvalidInput, match="at least 2"):
        diverse(logit(0), 1)
