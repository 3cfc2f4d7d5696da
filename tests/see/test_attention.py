"""Rollout and gradient attention against slow twins that read attention in another way."""

from __future__ import annotations

import numpy as np
import pytest
import timm
import torch

from featurelens.errors import LayerError
from featurelens.see.attention import attention_gradient, attention_rollout
from oracles import attention_flow


@pytest.fixture(scope="module")
def vit():
    torch.manual_seed(0)
    net = timm.create_model("test_vit").double().eval()
    with torch.no_grad():
        net.head.weight.normal_()
    return net


X = torch.randn(2, 3, 160, 160, generator=torch.Generator().manual_seed(1)).double()


def explicit(net, x: torch.Tensor, index: int = 3) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Attention and its gradient by timm's own unfused path and a hook on its dropout."""
    caught = []
    for block in net.blocks:
        block.attn.fused_attn = False

    def keep(_module, _inputs, output):
        output.retain_grad()
        caught.append(output)

    handles = [block.attn.attn_drop.register_forward_hook(keep) for block in net.blocks]
    net(x.clone().requires_grad_())[0, index].backward()
    for handle in handles:
        handle.remove()
    for block in net.blocks:
        block.attn.fused_attn = True
    net.zero_grad()
    return [w[0].detach().numpy() for w in caught], [w.grad[0].numpy() for w in caught]


def test_rollout_is_the_product_of_the_layers(vit) -> None:
    weights, _ = explicit(vit, X[:1])
    wanted = attention_flow.rollout(weights)[0, 1:].reshape(10, 10)
    found = attention_rollout(lambda x, _: vit(x)[:, 3], X, module=vit, chunk=1)
    assert np.allclose(found[0], wanted, atol=1e-12)
    assert not np.allclose(found[1], wanted, atol=1e-6), "sabotage: another image"
    assert not np.allclose(found[0], attention_flow.rollout(weights[::-1])[0, 1:].reshape(10, 10), atol=1e-9)


def test_gradient_attention_is_chefers(vit) -> None:
    weights, slopes = explicit(vit, X[:1])
    wanted = attention_flow.gradient_attention(weights, slopes)[0, 1:].reshape(10, 10)
    found = attention_gradient(lambda x, _: vit(x)[:, 3], X, module=vit)
    assert np.allclose(found[0], wanted, atol=1e-9 * wanted.max())
    other = attention_gradient(lambda x, _: vit(x)[:, 4], X, module=vit)
    assert not np.allclose(other[0], wanted, atol=1e-3 * wanted.max()), "sabotage: another class"


def test_where_the_head_averages_all_patches_are_read() -> None:
    torch.manual_seed(0)
    net = timm.create_model("test_vit", class_token=False, global_pool="avg").double().eval()
    net.head.weight.data.normal_()
    weights, _ = explicit(net, X[:1])
    wanted = attention_flow.rollout(weights).mean(0).reshape(10, 10)
    found = attention_rollout(lambda x, _: net(x)[:, 3], X[:1], module=net)
    assert np.allclose(found[0], wanted, atol=1e-12)


def test_register_tokens_are_no_places() -> None:
    net = timm.create_model("test_vit3").eval()
    with torch.no_grad():
        net.head.weight.normal_()
    found = attention_rollout(lambda x, _: net(x)[:, 3], X[:1].float(), module=net)
    assert found.shape == (1, 10, 10)


def test_networks_whose_attention_cannot_be_followed_are_told_so() -> None:
    net = timm.create_model("test_resnet").eval()
    x = X[:1].float()
    with pytest.raises(LayerError, match="ResNet has no attention layers that can be read"):
        attention_rollout(lambda x, _: net(x)[:, 3], x, module=net)
    swin = timm.create_model("swin_tiny_patch4_window7_224", img_size=112, depths=(1, 1), num_heads=(2, 2))
    with pytest.raises(LayerError, match="cut into windows"):
        attention_rollout(lambda x, _: swin(x)[:, 3], torch.randn(1, 3, 112, 112), module=swin.eval())
