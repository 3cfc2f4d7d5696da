"""A TopK sparse autoencoder once more, slower: every gradient by hand, row by row, Adam written out, in float64."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def codes(x, centre, encoder, bias, active):
    """The activations of one row, concept by concept."""
    answers = [float(w @ (x - centre)) + c for w, c in zip(encoder, bias, strict=True)]
    best = sorted(range(len(answers)), key=lambda j: -answers[j])[:active]
    return np.array([max(a, 0.0) if j in best else 0.0 for j, a in enumerate(answers)])


def train(
    rows: np.ndarray, first: np.ndarray, batches: Sequence[np.ndarray], *, active: int, rate: float,
    auxiliary: float = 1 / 32, cooling: float = 0.2, project: bool = True,
) -> tuple[dict[str, np.ndarray], int]:  # fmt: skip
    """The parameters after all batches, in units of the standardised rows, and in how many steps some unit was dead."""
    mean = rows.mean(0)
    scale = np.sqrt(((rows - mean) ** 2).sum(1).mean())
    count, dim = first.shape
    p = {"centre": np.zeros(dim), "encoder": first.copy(), "bias": np.zeros(count), "decoder": first.copy()}
    m = {name: np.zeros_like(one) for name, one in p.items()}
    v = {name: np.zeros_like(one) for name, one in p.items()}
    since, with_dead = np.zeros(count), 0
    for number, batch in enumerate(batches):
        x = (rows[batch] - mean) / scale
        n = len(x)
        g = {name: np.zeros_like(one) for name, one in p.items()}
        dead = [j for j in range(count) if since[j] >= len(rows)]
        with_dead += bool(dead)
        kept = np.stack([codes(one, p["centre"], p["encoder"], p["bias"], active) for one in x])
        error = x - p["centre"] - kept @ p["decoder"]
        size = (error**2).sum(1).mean()
        for row, a, e in zip(x, kept, error, strict=True):
            at_output = -2 * e / n
            g["centre"] += at_output
            for j in np.flatnonzero(a):
                _through(g, p, j, a[j], at_output, row)
            if not dead:
                continue
            own = codes(
                row, p["centre"], p["encoder"][dead], p["bias"][dead], min(len(dead), max(1, dim // 2))
            )
            at_output = auxiliary * 2 * (own @ p["decoder"][dead] - e) / n / size
            for a_j, j in zip(own, dead, strict=True):
                if a_j > 0:
                    _through(g, p, j, a_j, at_output, row)
        if project:
            for j in range(count):
                g["decoder"][j] -= (g["decoder"][j] @ p["decoder"][j]) * p["decoder"][j]
        length = np.sqrt(sum((one**2).sum() for one in g.values()))
        shrink = min(1.0, 1.0 / (length + 1e-6))
        now = rate * min(1.0, (1 - number / len(batches)) / cooling)
        for name, one in p.items():
            m[name] = 0.9 * m[name] + 0.1 * shrink * g[name]
            v[name] = 0.999 * v[name] + 0.001 * (shrink * g[name]) ** 2
            step = m[name] / (1 - 0.9 ** (number + 1))
            one -= now * step / (np.sqrt(v[name] / (1 - 0.999 ** (number + 1))) + 1e-8)
        for j in range(count):
            p["decoder"][j] /= np.linalg.norm(p["decoder"][j])
        since = np.array([0.0 if kept[:, j].any() else since[j] + n for j in range(count)])
    return p, with_dead


def _through(g, p, j, activation, at_output, row) -> None:
    """Adds what one active unit of one row gives to the gradients."""
    g["decoder"][j] += activation * at_output
    back = float(p["decoder"][j] @ at_output)
    g["encoder"][j] += back * (row - p["centre"])
    g["bias"][j] += back
    g["centre"] -= back * p["encoder"][j]
