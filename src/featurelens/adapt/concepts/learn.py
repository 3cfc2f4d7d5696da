"""Learning a dictionary: a TopK sparse autoencoder, its training loop in sight."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from featurelens.adapt.concepts.dictionary import Dictionary
from featurelens.errors import InvalidInput
from featurelens.features.progress import Meter, OnProgress
from featurelens.shapes import Float, Float32, Int64

AUXILIARY = 1 / 32
"""The weight of what dead units explain of the error (Gao et al. 2024, section 2.4)."""
COOLING = 0.2
"""The last share of the steps, in which the rate falls to zero."""


def learn_dictionary(
    rows: Float[np.ndarray, "row dim"],
    *,
    count: int = 64,
    active: int = 4,
    steps: int = 500,
    batch_size: int = 512,
    rate: float = 3e-3,
    seed: int = 0,
    on_progress: OnProgress | None = None,
) -> Dictionary:
    """Learn `count` directions of which `active` at a time make the rows again as well as they can.

    Gao et al., "Scaling and evaluating sparse autoencoders" (2024): of relu(W (x - b) + c) the `active` largest are kept,
    and the squared error of V · these + b is made small with Adam; V has rows of length one. A unit that has not fired
    for all rows' number of rows is dead: the dead ones together learn what the others leave over, until they fire again.
    Directions start from rows of the data. The same seed gives the same dictionary on the same machine. Runs on the
    CPU. Raises InvalidInput for numbers that cannot be.

    >>> corners = np.repeat(np.eye(3, dtype=np.float32), 20, axis=0)
    >>> found = learn_dictionary(corners, count=3, active=1)
    >>> found.explained(corners) > 0.99
    True
    """
    _check(rows, count, active, steps, batch_size)
    random = np.random.default_rng(seed)
    mean, scale = _spread(rows)
    directions = torch.from_numpy(_first(rows, mean, count, random))
    centre, bias = torch.zeros(rows.shape[1]), torch.zeros(count)
    encoder, decoder = directions.clone(), directions.clone()
    learning = [centre, encoder, bias, decoder]
    for one in learning:
        one.requires_grad_(True)
    optimizer = torch.optim.Adam(learning, lr=rate)
    since = torch.zeros(count)  # rows since a unit fired last
    size = min(batch_size, len(rows))
    meter = Meter(steps, on_progress)
    for number, chosen in enumerate(_batches(len(rows), size, steps, random)):
        x = torch.from_numpy((rows[chosen].astype(np.float32) - mean) / np.float32(scale))
        answers = (x - centre) @ encoder.T + bias
        kept = strongest(answers, active)
        error = x - (kept @ decoder + centre)
        loss = (error**2).sum(1).mean()
        dead = since >= len(rows)
        if dead.any():
            loss = loss + AUXILIARY * _left_over(answers[:, dead], decoder[dead], error.detach())
        loss.backward()
        with torch.no_grad():
            assert decoder.grad is not None
            along = (decoder.grad * decoder).sum(1, keepdim=True)
            decoder.grad -= along * decoder  # what would only change its length
            torch.nn.utils.clip_grad_norm_(learning, 1.0)
            for group in optimizer.param_groups:
                group["lr"] = rate * min(1.0, (1 - number / steps) / COOLING)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            decoder /= decoder.norm(dim=1, keepdim=True).clamp_min(1e-12)
            since = torch.where((kept > 0).any(0), 0.0, since + len(x))
        meter.step(1)
    made = [one.detach().numpy() for one in learning]
    return Dictionary(mean + np.float32(scale) * made[0], scale, made[1], made[2], made[3], active)


def strongest(answers: Tensor, active: int) -> Tensor:
    """[row, count]: the `active` largest of each row as far as they are above zero, all else zero."""
    top = answers.topk(min(active, answers.shape[1]), dim=1)
    return torch.zeros_like(answers).scatter(1, top.indices, top.values.relu())


def _left_over(answers: Tensor, decoder: Tensor, error: Tensor) -> Tensor:
    """How far the dead units, at most half as many as there are dimensions at a time, miss the others' error."""
    made = strongest(answers, max(1, decoder.shape[1] // 2)) @ decoder
    return ((made - error) ** 2).sum(1).mean() / (error**2).sum(1).mean().clamp_min(1e-12)


def _batches(
    rows: int, size: int, steps: int, random: np.random.Generator
) -> Iterator[Int64[np.ndarray, " batch"]]:
    """So many batches of whole passes in ever new orders."""
    order = np.empty(0, np.int64)
    for _ in range(steps):
        if len(order) < size:
            order = random.permutation(rows).astype(np.int64)
        yield order[:size]
        order = order[size:]


def _spread(rows: Float[np.ndarray, "row dim"]) -> tuple[Float32[np.ndarray, " dim"], float]:
    """The mean, and the root of the mean squared distance from it."""
    mean = rows.mean(0, dtype=np.float64)
    total = 0.0
    for start in range(0, len(rows), 8_192):
        total += float(((rows[start : start + 8_192] - mean) ** 2).sum())
    scale = float(np.sqrt(total / len(rows)))
    if not np.isfinite(scale) or scale < 1e-12:
        raise InvalidInput(
            "The features hold NaN or infinity; leave those rows out."
            if not np.isfinite(scale)
            else "All features are the same, so there are no concepts in them."
        )
    return mean.astype(np.float32), scale


def _first(
    rows: Float[np.ndarray, "row dim"], mean: np.ndarray, count: int, random: np.random.Generator
) -> Float32[np.ndarray, "count dim"]:
    """Directions of `count` rows from the mean; of a row that is the mean, a random one."""
    found = rows[random.choice(len(rows), count, replace=False)].astype(np.float64) - mean
    lengths = np.linalg.norm(found, axis=1, keepdims=True)
    found = np.where(lengths > 1e-9, found, random.normal(size=found.shape))
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


def _check(rows: np.ndarray, count: int, active: int, steps: int, batch_size: int) -> None:
    if min(count, active, steps, batch_size) < 1:
        raise InvalidInput(
            f"count is {count}, active {active}, steps {steps} and batch_size {batch_size}; all must be at least 1."
        )
    if active > count:
        raise InvalidInput(f"active is {active} of {count} concepts; it can't be more than there are.")
    if rows.ndim != 2 or len(rows) < count:
        raise InvalidInput(
            f"{count} concepts can't be learned from {len(rows)} vectors; it takes at least as many. Index more images, "
            "or ask for fewer with count (--count)."
        )
