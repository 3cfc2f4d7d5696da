"""The same scores and gradients with less memory moved: for many passes through a network with fixed weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from featurelens.backbone.folded import scale_of
from featurelens.see.score import Score


def lean(score: Score) -> Score:
    """The score, its passes on a CPU done with less memory moved.

    Where weights need no gradient, that of a batch norm is one factor per channel; it goes into the weights of the
    convolution before, on the way back only. A ReLU6 in place needs no copy of its input, and padding need not fill
    what it then overwrites. Scores stay the same to the last bit, so that no kink answers otherwise (a `folded`
    network rounds otherwise); gradients differ by rounding.
    """

    def leaner(x: Tensor, which: Tensor) -> Tensor:
        if x.device.type != "cpu" or not torch.is_grad_enabled():
            return score(x, which)
        with _Lean():
            return score(x, which)

    return leaner


class _Lean(TorchFunctionMode):
    """Inside, calls of torch are done by the steps below where these can do them, also those in the network's layers."""

    def __init__(self) -> None:
        super().__init__()
        self._convolved: tuple[Tensor, int, tuple[Any, ...]] | None = None  # the last, for what follows it

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is F.conv2d and not kwargs and args[0].requires_grad and args[0].ndim == 4:
            found = func(*args)
            known = _fixed(found, args[1:3]) and not any(isinstance(word, str) for word in args)
            self._convolved = (found, found._version, args) if known else None
            return found
        done = None
        if func is F.batch_norm:
            done = self._norm(*args, **(kwargs or {}))
        elif func in _STEPS and args and args[0].requires_grad:
            done = _STEPS[func](*args, **(kwargs or {}))
        return func(*args, **(kwargs or {})) if done is None else done

    def _norm(
        self,
        x: Tensor,
        mean: Tensor | None,
        var: Tensor | None,
        weight: Tensor | None = None,
        bias: Tensor | None = None,
        training: bool = False,
        momentum: float = 0.1,
        eps: float = 1e-5,
    ) -> Tensor | None:
        before, self._convolved = self._convolved, None
        if before is None or before[0] is not x or x._version != before[1]:
            return None
        if training or mean is None or var is None or not _fixed(x, (mean, var, weight, bias)):
            return None
        norm = (mean, var, weight, bias, False, momentum, eps)
        return _Normed.apply(before[2][0], x.detach(), before[2], norm)


class _Normed(Function):
    """The batch norm of what a convolution made of x, with the way back to x."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, convolved: Tensor, conv: tuple[Any, ...], norm: tuple[Any, ...]
    ) -> Tensor:
        _, var, weight, *_, eps = norm
        ctx.save_for_backward(x, conv[1], var, weight)
        ctx.eps, ctx.rest = eps, _rest(*conv[2:])
        return F.batch_norm(convolved, *norm)

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> Any:
        x, filters, var, weight = ctx.saved_tensors
        scaled = filters * scale_of(var, weight, ctx.eps).view(-1, 1, 1, 1)
        stride, padding, dilation, groups = ctx.rest
        found = torch.ops.aten.convolution_backward(
            slopes[0], x, scaled, None, stride, padding, dilation, False, [0, 0], groups, [True, False, False]
        )
        return found[0], None, None, None


class _Clamped(Function):
    """x itself, clamped; where its gradient goes on, the result tells."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, low: float, high: float) -> Tensor:
        ctx.mark_dirty(x)
        x.clamp_(low, high)
        ctx.save_for_backward(x)
        ctx.range = low, high
        return x

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> Any:
        return torch.ops.aten.hardtanh_backward(slopes[0], *ctx.saved_tensors, *ctx.range), None, None


class _Padded(Function):
    """x with zeros around it."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, left: int, right: int, top: int, bottom: int) -> Tensor:
        rows, cols = x.shape[2:]
        size = (*x.shape[:2], top + rows + bottom, left + cols + right)
        nhwc = x.is_contiguous(memory_format=torch.channels_last)
        form = torch.channels_last if nhwc else torch.contiguous_format
        found = torch.empty(size, dtype=x.dtype, memory_format=form)
        ctx.inner = slice(top, top + rows), slice(left, left + cols)
        found[:, :, *ctx.inner] = x
        for edge in (found[:, :, :top], found[:, :, top + rows :]):
            edge.zero_()
        for edge in (found[..., :left], found[..., left + cols :]):
            edge.zero_()
        return found

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> Any:
        return slopes[0][:, :, *ctx.inner], None, None, None, None


def _clamped(
    x: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False
) -> Tensor | None:  # arguments with torch's names: calls come with them
    if not inplace or x.is_leaf or x._is_view():
        return None
    return _Clamped.apply(x, min_val, max_val)


def _relu6(x: Tensor, inplace: bool = False) -> Tensor | None:
    return _clamped(x, 0.0, 6.0, inplace)


def _padded(x: Tensor, pad: Any, mode: str = "constant", value: float | None = None) -> Tensor | None:
    if mode != "constant" or value or x.ndim != 4 or len(pad) != 4 or min(pad) < 0:
        return None
    return _Padded.apply(x, *pad)


_STEPS: dict[Any, Callable[..., Tensor | None]] = {
    F.hardtanh: _clamped,
    F.relu6: _relu6,
    F.pad: _padded,
}


def _fixed(x: Tensor, weights: Any) -> bool:
    """Whether these weights are of one kind with x, and need no gradient."""
    return all(w is None or (not w.requires_grad and w.dtype == x.dtype) for w in weights)


def _rest(
    bias: Tensor | None = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
) -> tuple[list[int], list[int], list[int], int]:
    return _pair(stride), _pair(padding), _pair(dilation), groups


def _pair(value: int | Sequence[int]) -> list[int]:
    return [value, value] if isinstance(value, int) else list(value)
