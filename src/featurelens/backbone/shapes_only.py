"""What the commonest functions give on the meta device, told by shapes alone: torch takes a millisecond for each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

Rule = Callable[..., Tensor | None]


class ShapesOnly(TorchFunctionMode):
    """For its duration, tensors without values pass quickly through what networks are mostly made of.

    Shape, type and strides are those that torch itself finds. What does not fit is left to torch, for its
    own error; filling a weight with numbers does nothing.

    >>> with ShapesOnly():
    ...     nn.Linear(4, 8, device="meta")(torch.empty(2, 4, device="meta")).shape
    torch.Size([2, 8])
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        options = kwargs or {}
        rule = _RULES.get(func)
        x = args[0] if args else options.get("tensor")
        found = None
        if rule is not None and isinstance(x, Tensor) and x.is_meta and x.is_floating_point():
            found = rule(*args, **options)
        return func(*args, **options) if found is None else found


def _like(x: Tensor) -> Tensor:
    return x.new_empty(x.shape) if x.is_contiguous() else torch.empty_like(x)


def _alike(x: Tensor, *_: Any, **__: Any) -> Tensor:
    return _like(x)


def _rolled(x: Tensor, *_: Any, **__: Any) -> Tensor:
    return x.new_empty(x.shape)


def _filled(tensor: Tensor, *_: Any, **__: Any) -> Tensor:
    return tensor


def _two(x: Tensor, y: Any, **options: Any) -> Tensor | None:
    if options:
        return None
    if type(y) in (int, float) or _fits(x, y):
        return _like(x)
    return _like(y) if isinstance(y, Tensor) and _fits(y, x) else None


def _into(x: Tensor, y: Any, **options: Any) -> Tensor | None:
    return None if options or not (type(y) in (int, float) or _fits(x, y)) else x


def _fits(x: Tensor, y: Any) -> bool:
    """Whether y only has to be repeated to be of x's shape."""
    if not isinstance(y, Tensor) or y.dtype != x.dtype or y.device != x.device or y.ndim > x.ndim:
        return False
    return all(n in (1, m) for n, m in zip(reversed(y.shape), reversed(x.shape), strict=False))


def _linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor | None:
    if x.ndim < 2 or weight.ndim != 2 or x.shape[-1] != weight.shape[1] or not _same_type(x, weight, bias):
        return None
    return x.new_empty(*x.shape[:-1], weight.shape[0])


def _layer_norm(x: Tensor, shape: Any, weight: Any = None, bias: Any = None, eps: Any = 0) -> Tensor | None:
    fits = tuple(x.shape[x.ndim - len(shape) :]) == tuple(shape) and _same_type(x, weight, bias)
    return x.new_empty(x.shape) if fits else None


def _batch_norm(
    x: Tensor, *numbers: Any, training: bool, momentum: Any, eps: Any, **named: Any
) -> Tensor | None:
    given = [n for n in (*numbers, *named.values()) if n is not None]
    fits = not training and x.ndim > 1 and all(n.shape == x.shape[1:2] for n in given)
    return _like(x) if fits and _same_type(x, *given) else None


def _attention(q: Tensor, k: Tensor, v: Tensor, **options: Any) -> Tensor | None:
    plain = options.get("attn_mask") is None and not options.get("enable_gqa") and _same_type(q, k, v)
    if not plain or q.ndim < 3 or q.shape[:-2] != k.shape[:-2] or k.shape[:-1] != v.shape[:-1]:
        return None
    return q.new_empty(*q.shape[:-1], v.shape[-1]) if q.shape[-1] == k.shape[-1] else None


def _resized(x: Tensor, size: Any = None, *_: Any, **options: Any) -> Tensor | None:
    if x.ndim != 4 or not isinstance(size, tuple | list | torch.Size) or len(size) != 2:
        return None
    return x.new_empty(*x.shape[:2], *size)


def _same_type(x: Tensor, *others: Tensor | None) -> bool:
    return all(other is None or (other.dtype == x.dtype and other.is_meta) for other in others)


_RULES: dict[Any, Rule] = {
    F.linear: _linear,
    F.layer_norm: _layer_norm,
    F.batch_norm: _batch_norm,
    F.scaled_dot_product_attention: _attention,
    F.interpolate: _resized,
    **dict.fromkeys((F.gelu, F.relu, F.silu, F.hardswish, F.hardsigmoid, F.relu6, F.normalize), _alike),
    **dict.fromkeys((torch.sigmoid, Tensor.sigmoid), _alike),
    **dict.fromkeys((torch.roll, Tensor.roll), _rolled),
    **dict.fromkeys((Tensor.add, Tensor.sub, Tensor.mul, Tensor.div, torch.add, torch.mul), _two),
    **dict.fromkeys((Tensor.add_, Tensor.mul_), _into),
    **dict.fromkeys((Tensor.uniform_, Tensor.normal_, Tensor.erfinv_, Tensor.clamp_), _filled),
    **dict.fromkeys((nn.init.uniform_, nn.init.normal_, nn.init.kaiming_uniform_), _filled),
}
