"""Multi-head self-attention: fused where only the result is wanted, plain where the weights are (Vaswani et al. 2017)."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from featurelens.errors import InvalidInput
from featurelens.nn.exchange import Rules
from featurelens.shapes import Float


class MultiHeadAttention(nn.Module):
    """Every token asks all tokens: softmax(q · k / √(dim / heads)) · v in each head, then one projection.

    Attention Is All You Need, Vaswani et al. 2017. Equals timm's Attention. Raises InvalidInput where `heads` does
    not divide `dim`.

    >>> attention, tokens = MultiHeadAttention(32, 4), torch.rand(2, 9, 32)
    >>> attention(tokens).shape, attention.with_weights(tokens)[1].shape
    (torch.Size([2, 9, 32]), torch.Size([2, 4, 9, 9]))
    """

    names: ClassVar[dict[str, Rules]] = {"timm": (("^out", "proj"),)}

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        fitting = [h for h in range(1, dim + 1) if dim % h == 0]
        if heads not in fitting:
            raise InvalidInput(
                f"heads={heads} does not divide dim={dim}; these do: {', '.join(map(str, fitting)) or 'none'}."
            )
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.out = nn.Linear(dim, dim)

    def forward(self, tokens: Float[Tensor, "batch token dim"]) -> Float[Tensor, "batch token dim"]:
        q, k, v = self._split(tokens)
        return self._joined(F.scaled_dot_product_attention(q, k, v))

    def with_weights(
        self, tokens: Float[Tensor, "batch token dim"]
    ) -> tuple[Float[Tensor, "batch token dim"], Float[Tensor, "batch head asking asked"]]:
        """The same result, and how much each token took from each other one (rows sum to 1)."""
        q, k, v = self._split(tokens)
        weights = torch.softmax((q / q.shape[-1] ** 0.5) @ k.mT, -1)  # in this order half precision holds it
        return self._joined(weights @ v), weights

    def _split(self, tokens: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values, each `[batch, head, token, dim / heads]`."""
        parts = self.qkv(tokens).unflatten(2, (3, self.heads, -1))
        q, k, v = parts.permute(2, 0, 3, 1, 4).unbind(0)
        return q, k, v

    def _joined(self, heads: Tensor) -> Tensor:
        return self.out(heads.transpose(1, 2).flatten(2))
