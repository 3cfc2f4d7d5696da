"""A private copy of a network with its batch norms inside the convolutions before them: the same answers, sooner."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Collection
from typing import Any

import torch
from torch import Tensor, nn

from featurelens.backbone.nested import tensors
from featurelens.backbone.torch_backbone import TorchBackbone
from featurelens.shapes import Float

_ALIKE = 1e-3  # of the largest output: far above rounding, far below what a wrong fold does


def folded(
    backbone: TorchBackbone, x: Float[Tensor, "1 3 row col"], *, keep: Collection[str] = ()
) -> TorchBackbone:
    """The backbone on a copy of its module in which each convolution does the work of the batch norm after it.

    For passes at fixed weights: in eval mode a batch norm is one factor and one summand per channel, so the
    copy gives the same outputs and gradients and moves less memory. `x` is a normalised image on which both
    are compared; where they differ, or there is nothing to fold, the backbone itself comes back. Convolutions
    named in `keep` stay as they are, so that their outputs can be read. The given network is not touched.
    """
    if not any(isinstance(part, nn.BatchNorm2d) for part in backbone.module.modules()):
        return backbone
    try:
        module = copy.deepcopy(backbone.module).eval().requires_grad_(False)
    except RuntimeError:  # it holds tensors that cannot be copied
        return backbone
    with torch.inference_mode(False), torch.no_grad():
        output, pairs = _pairs(module, x)
        for conv, norm in pairs.items():
            if conv not in keep:
                _fold(module, conv, norm)
        if pairs.keys() <= set(keep) or not _same(output, module(x)):
            return backbone
    quick = copy.copy(backbone)
    quick.module = module
    return quick


def _pairs(module: nn.Module, x: Tensor) -> tuple[Any, dict[str, str]]:
    """What the network gives, and the convolutions that run once and whose output goes, untouched, into a batch
    norm that runs once.
    """
    outputs: dict[int, tuple[str, int, Tensor]] = {}
    calls: dict[str, int] = {}
    pairs: dict[str, str] = {}

    def after_conv(name: str) -> Any:
        def hook(_part: nn.Module, _inputs: Any, output: Any) -> None:
            calls[name] = calls.get(name, 0) + 1
            if isinstance(output, Tensor):  # kept, so that no other tensor gets its id
                outputs[id(output)] = name, output._version, output

        return hook

    def before_norm(name: str) -> Any:
        def hook(_part: nn.Module, inputs: Any) -> None:
            calls[name] = calls.get(name, 0) + 1
            conv, version, output = outputs.get(id(inputs[0]), ("", -1, None)) if inputs else ("", -1, None)
            if output is not None and output._version == version:
                pairs[conv] = name

        return hook

    handles = []
    for name, part in module.named_modules(remove_duplicate=False):
        if hasattr(part, "parametrizations") or part._forward_hooks or part._forward_pre_hooks:
            continue
        if isinstance(part, nn.Conv2d):
            handles.append(part.register_forward_hook(after_conv(name)))
        elif _rest(part) is not None:
            handles.append(part.register_forward_pre_hook(before_norm(name)))
    try:
        result = module(x)
    finally:
        for handle in handles:
            handle.remove()
    return result, {conv: norm for conv, norm in pairs.items() if calls[conv] == calls[norm] == 1}


def _rest(part: nn.Module) -> nn.Module | None:
    """What a batch norm does besides normalising (timm's also activates); None where it cannot be folded."""
    if not isinstance(part, nn.BatchNorm2d) or part.running_mean is None or part.running_var is None:
        return None
    if type(part) is nn.BatchNorm2d:
        return nn.Identity()
    drop, act = getattr(part, "drop", None), getattr(part, "act", None)
    if not isinstance(drop, nn.Module) or not isinstance(act, nn.Module):
        return None
    return nn.Sequential(OrderedDict(drop=drop, act=act))  # under their names, by which layers are read


def _fold(module: nn.Module, conv_name: str, norm_name: str) -> None:
    conv: Any = module.get_submodule(conv_name)
    norm: Any = module.get_submodule(norm_name)
    scale = scale_of(norm.running_var.double(), norm.weight, norm.eps)
    shift = -norm.running_mean.double() * scale
    if norm.bias is not None:
        shift = shift + norm.bias.double()
    if conv.bias is not None:
        shift = shift + conv.bias.double() * scale
    weight = conv.weight.double() * scale.view(-1, 1, 1, 1)
    conv.weight.copy_(weight)  # in place: its memory format stays
    conv.bias = nn.Parameter(shift.to(conv.weight), requires_grad=False)
    rest = _rest(norm)
    assert rest is not None
    module.set_submodule(norm_name, rest)


def scale_of(var: Tensor, weight: Tensor | None, eps: float) -> Float[Tensor, " channel"]:
    """The factor of a batch norm whose statistics are fixed, in the precision of `var`."""
    scale = (var + eps).rsqrt()
    return scale if weight is None else scale * weight.to(scale)


def _same(one: Any, other: Any) -> bool:
    pairs = list(zip(tensors(one), tensors(other), strict=True))
    return bool(pairs) and all(
        a.shape == b.shape and bool((a - b).abs().max() <= _ALIKE * a.abs().max()) for a, b in pairs
    )
