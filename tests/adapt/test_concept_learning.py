"""The TopK sparse autoencoder: against a slow twin step by step, and what it finds where the answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from featurelens.adapt.concepts import Dictionary, learn_dictionary
from featurelens.adapt.concepts import learn as learning
from featurelens.errors import InvalidInput
from oracles import topk_sae


def mixtures(rows: int, atoms: int, dim: int, active: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """(rows made of `active` of the atoms each, the atoms)."""
    random = np.random.default_rng(seed)
    directions = random.normal(size=(atoms, dim))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    weights = np.zeros((rows, atoms))
    for row in weights:
        row[random.choice(atoms, active, replace=False)] = 1 + random.random(active)
    return (weights @ directions).astype(np.float32), directions


def both(steps: int, **twin: float) -> tuple[Dictionary, dict[str, np.ndarray], int]:
    """The same training in torch and in the twin: same start, same batches."""
    rows, _ = mixtures(48, 5, 6, 2)
    count, active, size, rate = 16, 2, 24, 0.02
    random = np.random.default_rng(7)
    mean, scale = learning._spread(rows)
    first = learning._first(rows, mean, count, random)
    batches = list(learning._batches(len(rows), size, steps, random))
    slow, dead = topk_sae.train(
        rows.astype(np.float64), first.astype(np.float64), batches, active=active, rate=rate, **twin
    )
    made = learn_dictionary(rows, count=count, active=active, steps=steps, batch_size=size, rate=rate, seed=7)
    slow["centre"] = mean + scale * slow["centre"]
    return made, slow, dead


def apart(made: Dictionary, slow: dict[str, np.ndarray]) -> float:
    return max(float(np.abs(getattr(made, name) - value).max()) for name, value in slow.items())


def test_training_equals_the_slow_twin() -> None:
    made, slow, dead = both(30)
    assert dead >= 10, "units must die, else the auxiliary loss is not compared"
    assert apart(made, slow) < 1e-4


@pytest.mark.parametrize(
    "changed", [{"auxiliary": 0.0}, {"auxiliary": 1 / 16}, {"project": False}, {"cooling": 0.5}]
)
def test_the_twin_tells_other_trainings_apart(changed: dict[str, float]) -> None:
    """The sabotage: each part of the method left out or altered is seen."""
    made, slow, _ = both(30, **changed)
    assert apart(made, slow) > 1e-3


def test_known_directions_are_found() -> None:
    rows, atoms = mixtures(1_500, 12, 32, 2)
    made = learn_dictionary(rows, count=24, active=3, steps=1_000, rate=0.01)
    # A direction is known up to the mean, which the centre takes: compare after the centre is away.
    apart = atoms - atoms.mean(0)
    apart /= np.linalg.norm(apart, axis=1, keepdims=True)
    found = np.maximum(made.decoder @ atoms.T, made.decoder @ apart.T).max(0)
    assert made.explained(rows) > 0.95
    assert np.median(found) > 0.9
    noise = np.random.default_rng(1).normal(size=atoms.shape)
    noise /= np.linalg.norm(noise, axis=1, keepdims=True)
    assert np.median((made.decoder @ noise.T).max(0)) < 0.6, "random directions are not found"


def test_encoding_is_what_the_formula_says() -> None:
    rows, _ = mixtures(40, 5, 6, 2)
    made = learn_dictionary(rows, count=10, active=3, steps=20)
    activations = made.encode(rows)
    assert (activations > 0).sum(1).max() <= 3
    wanted = [
        topk_sae.codes((x - made.centre) / made.scale, np.zeros(6), made.encoder, made.bias, 3) for x in rows
    ]
    assert np.allclose(activations, wanted, atol=1e-5)
    again = made.centre + made.scale * activations @ made.decoder
    left = ((rows - again) ** 2).sum() / ((rows - rows.mean(0)) ** 2).sum()
    assert made.explained(rows) == pytest.approx(1 - left, abs=1e-5)
    assert np.allclose(np.linalg.norm(made.decoder, axis=1), 1, atol=1e-5)


def test_the_same_seed_gives_the_same_and_the_caller_s_chance_is_left_alone() -> None:
    import torch

    rows, _ = mixtures(60, 5, 6, 2)
    before = torch.get_rng_state()
    one, two, other = (learn_dictionary(rows, count=8, active=2, steps=30, seed=s) for s in (1, 1, 2))
    assert torch.equal(before, torch.get_rng_state())
    assert np.array_equal(one.decoder, two.decoder)
    assert not np.array_equal(one.decoder, other.decoder)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"count": 61}, "fewer with count"),
        ({"active": 9, "count": 8}, "active is 9"),
        ({"steps": 0}, "at least 1"),
    ],
)
def test_what_cannot_be_is_told(wrong: dict[str, int], said: str) -> None:
    rows, _ = mixtures(60, 5, 6, 2)
    with pytest.raises(InvalidInput, match=said):
        learn_dictionary(rows, **wrong)


def test_rows_without_any_difference_are_told() -> None:
    with pytest.raises(InvalidInput, match="All features are the same"):
        learn_dictionary(np.ones((80, 4), np.float32))
    broken = np.ones((80, 4), np.float32)
    broken[3, 1] = np.nan
    with pytest.raises(InvalidInput, match="NaN or infinity"):
        learn_dictionary(broken)
