"""Attention rollout and gradient attention once more: matrix by matrix, query by query, in numpy."""

from __future__ import annotations

import numpy as np


def rollout(weights: list[np.ndarray]) -> np.ndarray:
    """`weights`: one image's [head, query, key] for each layer, first layer first."""
    tokens = weights[0].shape[-1]
    flow = np.eye(tokens)
    for layer in weights:
        step = np.zeros((tokens, tokens))
        for head in layer:
            step += head / len(layer)
        for i in range(tokens):
            step[i] = 0.5 * step[i]
            step[i, i] += 0.5
        flow = step @ flow
    return flow


def gradient_attention(weights: list[np.ndarray], slopes: list[np.ndarray]) -> np.ndarray:
    """Chefer et al. (2021), equations 5 and 6, for self-attention."""
    tokens = weights[0].shape[-1]
    relevance = np.eye(tokens)
    for layer, slope in zip(weights, slopes, strict=True):
        mean = np.zeros((tokens, tokens))
        for head, head_slope in zip(layer, slope, strict=True):
            mean += np.maximum(head * head_slope, 0) / len(layer)
        relevance = relevance + mean @ relevance
    return relevance
