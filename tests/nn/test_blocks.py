"""Each block against timm's and torchvision's with copied weights, both ways; each comparison can fail (sabotage)."""

from __future__ import annotations

import pytest
import torch
from timm.layers import SEModule
from timm.layers.cbam import CbamModule, ChannelAttn, SpatialAttn
from timm.models._efficientnet_blocks import DepthwiseSeparableConv, InvertedResidual
from timm.models._efficientnet_blocks import SqueezeExcite as TimmSqueeze
from timm.models.vision_transformer import Attention
from torch import nn
from torchvision.models import efficientnet as torchvision_nets
from torchvision.ops import SqueezeExcitation as TorchvisionSqueeze

from featurelens.errors import InvalidInput
from featurelens.nn import (
    CBAM,
    ChannelAttention,
    MBConv,
    MultiHeadAttention,
    SpatialAttention,
    SqueezeExcitation,
    export_to,
    load_from,
)
from fixtures.stirred import stirred


def first(output):
    return output[0] if isinstance(output, tuple) else output


def timm_mbconv(channels: int, out: int, *, widen: int, kernel: int, stride: int):
    def squeeze(wide: int, **_: object):
        return TimmSqueeze(wide, rd_channels=channels // 4, act_layer=nn.SiLU)

    options = {"dw_kernel_size": kernel, "stride": stride, "act_layer": nn.SiLU, "se_layer": squeeze}
    if widen == 1:
        return DepthwiseSeparableConv(channels, out, **options)
    return InvertedResidual(channels, out, exp_ratio=float(widen), **options)


def torchvision_mbconv(channels: int, out: int, *, widen: int, kernel: int, stride: int):
    config = torchvision_nets.MBConvConfig(widen, kernel, stride, channels, out, 1, 1.0, 1.0)
    return torchvision_nets.MBConv(config, 0.0, nn.BatchNorm2d)


WIDE = {"kernel": 5, "stride": 1, "widen": 6}
NARROW = {"kernel": 3, "stride": 2, "widen": 1}
PEERS = {
    "squeeze, timm": (lambda: SqueezeExcitation(16, 4), lambda: SEModule(16, rd_channels=4)),
    "squeeze, torchvision": (lambda: SqueezeExcitation(16, 4), lambda: TorchvisionSqueeze(16, 4)),
    "spatial, timm": (SpatialAttention, SpatialAttn),
    "channel, timm": (lambda: ChannelAttention(16, 4), lambda: ChannelAttn(16, rd_channels=4)),
    "CBAM, timm": (lambda: CBAM(16, 4), lambda: CbamModule(16, rd_channels=4)),
    "MBConv, timm": (lambda: MBConv(16, 16, **WIDE), lambda: timm_mbconv(16, 16, **WIDE)),
    "MBConv, torchvision": (lambda: MBConv(16, 16, **WIDE), lambda: torchvision_mbconv(16, 16, **WIDE)),
    "MBConv without widening, timm": (
        lambda: MBConv(16, 24, **NARROW),
        lambda: timm_mbconv(16, 24, **NARROW),
    ),
    "MBConv without widening, torchvision": (
        lambda: MBConv(16, 24, **NARROW),
        lambda: torchvision_mbconv(16, 24, **NARROW),
    ),
}


@pytest.mark.parametrize("peer", PEERS)
def test_a_block_equals_its_peer_with_copied_weights(peer: str) -> None:
    make, make_theirs = PEERS[peer]
    theirs, ours = stirred(make_theirs()), make().eval()
    x = torch.randn(2, 16, 9, 9, generator=torch.Generator().manual_seed(0))
    load_from(ours, theirs)
    with torch.no_grad():
        expected, found = theirs(x), first(ours(x))
        assert (found - expected).abs().max() <= 1e-5 * expected.abs().max().clamp(min=1)
        # sabotage: weights that were not copied are noticed
        assert (first(stirred(make(), seed=7)(x)) - expected).abs().max() > 1e-3
        # and back
        export_to(stirred(ours, seed=3), theirs)
        assert (first(ours(x)) - theirs(x)).abs().max() <= 1e-5 * theirs(x).abs().max().clamp(min=1)


def test_attention_equals_timm_and_its_weights_equal_torchs() -> None:
    theirs = stirred(Attention(32, num_heads=4, qkv_bias=True))
    ours, tokens = MultiHeadAttention(32, 4).eval(), torch.randn(2, 9, 32)
    load_from(ours, theirs)
    torchs = nn.MultiheadAttention(32, 4, batch_first=True).eval()
    with torch.no_grad():
        for name, tensor in (("in_proj_weight", ours.qkv.weight), ("in_proj_bias", ours.qkv.bias)):
            getattr(torchs, name).copy_(tensor)
        torchs.out_proj.load_state_dict(ours.out.state_dict())
        plain, weights = ours.with_weights(tokens)
        expected, their_weights = torchs(tokens, tokens, tokens, average_attn_weights=False)
    assert (ours(tokens) - theirs(tokens)).abs().max() <= 1e-5
    assert (plain - ours(tokens)).abs().max() <= 1e-5
    assert (plain - expected).abs().max() <= 1e-5
    assert (weights - their_weights).abs().max() <= 1e-6
    # sabotage: other heads are another attention
    other = MultiHeadAttention(32, 2)
    other.load_state_dict(ours.state_dict())
    assert (other(tokens) - expected).abs().max() > 1e-3


def test_attention_weights_of_large_tokens_are_finite_in_half_precision() -> None:
    """Here q · k is 102,400, more than half precision holds; q · k / √64 is not."""
    attention, tokens = MultiHeadAttention(64, 1).half(), torch.full((1, 3, 64), 40.0).half()
    with torch.no_grad():
        attention.qkv.weight.copy_(torch.eye(64).repeat(3, 1))
        attention.qkv.bias.zero_()
        result, weights = attention.with_weights(tokens)
        assert torch.allclose(weights, torch.tensor(1 / 3).half(), atol=1e-3)
        assert torch.allclose(result, attention(tokens), rtol=1e-2)


def test_spatial_attention_returns_the_map_that_it_applied() -> None:
    x = torch.rand(2, 8, 7, 5)
    features, where = SpatialAttention().eval()(x)
    assert where.shape == (2, 1, 7, 5)
    assert bool(((where > 0) & (where < 1)).all())
    assert torch.allclose(features, x * where)


def test_stochastic_depth_leaves_blocks_out_in_training_only() -> None:
    block = MBConv(8, 8, widen=2, drop=0.5)
    stirred(block)
    x = torch.randn(64, 8, 6, 6)
    assert torch.equal(block(x), block(x))
    block.train()
    torch.manual_seed(0)
    untouched = (block(x) == x).flatten(1).all(1).float().mean()
    assert 0.3 < untouched < 0.7


def test_what_does_not_fit_is_named() -> None:
    with pytest.raises(InvalidInput, match="divide"):
        MultiHeadAttention(30, 4)
    with pytest.raises(InvalidInput, match="dim=0; these do: none"):
        MultiHeadAttention(0, 4)
    with pytest.raises(InvalidInput, match="odd"):
        SpatialAttention(4)
    with pytest.raises(InvalidInput, match="kernel=4"):
        MBConv(8, 8, kernel=4)
    with pytest.raises(InvalidInput, match=r"drop=1\.0"):
        MBConv(8, 8, drop=1.0)
    with pytest.raises(InvalidInput, match="same sizes"):
        load_from(SqueezeExcitation(16, 8), SEModule(16, rd_channels=4))
    with pytest.raises(InvalidInput, match="exchanges weights with timm"):
        load_from(SqueezeExcitation(16, 4), nn.Conv2d(16, 4, 1))
    with pytest.raises(InvalidInput, match=r"has no 'qkv"):
        load_from(MultiHeadAttention(16, 4), SEModule(16, rd_channels=4))
