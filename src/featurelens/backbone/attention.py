"""Read the softmaxed attention of vision transformers, fused or not."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from featurelens.backbone.hooks import mine
from featurelens.errors import LayerError


@contextmanager
def attention_weights(module: nn.Module) -> Iterator[Mapping[str, Tensor]]:
    """The attention weights `[batch, head, query, key]` of each attention layer in the last forward pass.

    Works for timm's attention layers and for `nn.MultiheadAttention` (torchvision). Inside the `with`,
    fused attention is computed step by step, so that the weights lie on the path of gradients; nothing in
    the network is changed. The batch of windowed attention counts windows; a layer that runs several times
    shows its last call. Layers of other networks are simply not there.

    >>> from torchvision.models import VisionTransformer
    >>> net = VisionTransformer(32, 16, 1, 2, 8, 16).eval()
    >>> with attention_weights(net) as read:
    ...     _ = net(torch.zeros(1, 3, 32, 32))
    >>> {name: tuple(w.shape) for name, w in read.items()}
    {'encoder.layers.encoder_layer_0.self_attention': (1, 2, 5, 5)}
    """
    read: dict[str, Tensor] = {}
    running: list[str] = []

    def enter(name: str) -> Callable[..., None]:
        return mine(lambda *_: running.append(name))

    def start(*_: Any) -> None:
        running.clear()
        read.clear()

    with ExitStack() as stack:
        stack.callback(module.register_forward_pre_hook(mine(start), prepend=True).remove)
        for name, part in module.named_modules():
            if attends(part):
                stack.callback(part.register_forward_pre_hook(enter(name)).remove)
                stack.callback(part.register_forward_hook(mine(lambda *_: _drop(running))).remove)
        stack.enter_context(_Explicit(read, running))
        yield read


def _drop(running: list[str]) -> None:
    running.pop()


def attends(part: nn.Module) -> bool:
    known = (
        isinstance(part, nn.MultiheadAttention) or hasattr(part, "fused_attn") or hasattr(part, "attn_drop")
    )
    return known or (hasattr(part, "num_heads") and "attention" in type(part).__name__.lower())


class _Explicit(TorchFunctionMode):
    """Computes fused attention step by step, and notes every softmax inside an attention layer."""

    def __init__(self, read: dict[str, Tensor], running: list[str]) -> None:
        super().__init__()
        self._read = read
        self._running = running

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if not self._running:
            return func(*args, **kwargs)
        if func is F.scaled_dot_product_attention:
            weights, value = _dot_product_weights(*args, **kwargs)
            self._note(weights)
            return weights @ value
        if func is F.multi_head_attention_forward:
            output, weights = _multi_head(*args, **kwargs)
            self._note(weights)
            return output, None
        output = func(*args, **kwargs)
        if func in _SOFTMAX:
            self._note(output)
        return output

    def _note(self, weights: Tensor) -> None:
        self._read[self._running[-1]] = weights


_SOFTMAX = (torch.softmax, Tensor.softmax, F.softmax)


def _dot_product_weights(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> tuple[Tensor, Tensor]:
    # The formula that the documentation of torch.nn.functional.scaled_dot_product_attention gives.
    if enable_gqa:
        groups = query.shape[-3] // key.shape[-3]
        key, value = key.repeat_interleave(groups, -3), value.repeat_interleave(groups, -3)
    scores = query @ key.transpose(-2, -1) * (1 / math.sqrt(query.shape[-1]) if scale is None else scale)
    if is_causal:
        attn_mask = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
    if attn_mask is not None and attn_mask.dtype == torch.bool:
        scores = scores.masked_fill(~attn_mask, -math.inf)
    elif attn_mask is not None:
        scores = scores + attn_mask
    return F.dropout(scores.softmax(-1), dropout_p), value


def _multi_head(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    _width: int,
    heads: int,
    weight: Tensor | None,
    bias: Tensor | None,
    bias_k: Tensor | None,
    bias_v: Tensor | None,
    add_zero_attn: bool,
    dropout_p: float,
    out_weight: Tensor,
    out_bias: Tensor | None,
    *,
    training: bool = True,
    key_padding_mask: Tensor | None = None,
    attn_mask: Tensor | None = None,
    q_proj_weight: Tensor | None = None,
    k_proj_weight: Tensor | None = None,
    v_proj_weight: Tensor | None = None,
    **_rest: Any,
) -> tuple[Tensor, Tensor]:
    # Inputs are [token, batch, channel], as nn.MultiheadAttention hands them on; masks are added to scores.
    if bias_k is not None or bias_v is not None or add_zero_attn or query.ndim != 3:
        raise LayerError(
            "Attention weights can be read from nn.MultiheadAttention on batches, without bias_kv and "
            "add_zero_attn; this layer has one of them. Leave it out of what you read."
        )
    in_weights = weight.chunk(3) if weight is not None else (q_proj_weight, k_proj_weight, v_proj_weight)
    in_biases = bias.chunk(3) if bias is not None else (None, None, None)

    def project(x: Tensor, i: int) -> Tensor:
        x = F.linear(x, cast(Tensor, in_weights[i]), in_biases[i])
        return x.unflatten(-1, (heads, -1)).permute(1, 2, 0, 3)  # batch, head, token, channel

    mask = None
    if attn_mask is not None:
        mask = attn_mask if attn_mask.ndim == 2 else attn_mask.unflatten(0, (-1, heads))
    if key_padding_mask is not None:
        padding = key_padding_mask[:, None, None, :]
        mask = padding if mask is None else mask + padding
    dropout = dropout_p if training else 0.0
    weights, values = _dot_product_weights(
        project(query, 0), project(key, 1), project(value, 2), mask, dropout
    )
    output = (weights @ values).permute(2, 0, 1, 3).flatten(2)
    return F.linear(output, out_weight, out_bias), weights
