"""What each axis means, found by probing; maps made of it, and attention weights, against arithmetic by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from featurelens.backbone.protocol import Spec
from featurelens.errors import BackboneError, LayerError
from featurelens.images.fit import Fit

torch = pytest.importorskip("torch")

from featurelens.backbone.attention import attention_weights  # noqa: E402
from featurelens.backbone.layout import layout_of, layouts  # noqa: E402
from featurelens.backbone.token_grid import as_map  # noqa: E402
from featurelens.backbone.torch_backbone import TorchBackbone  # noqa: E402
from fixtures.odd_nets import Tokens, odd  # noqa: E402

SIZE = (32, 48)
X = torch.randn(2, 3, *SIZE, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("prefix", [0, 1, 5])
def test_tokens_behind_a_prefix_become_the_map_of_their_patches(prefix: int) -> None:
    net = Tokens(prefix)
    layout = layout_of(net, "mix", SIZE)
    assert layout.axes == ("batch", "token", "channel")
    assert (layout.prefix_tokens, layout.grid) == (prefix, (4, 6))
    with torch.no_grad():
        found = as_map(net(X), layout=layout)
        wanted = net.mix(net.patch(X).movedim(1, 3)).movedim(3, 1)
    assert torch.allclose(found, wanted, atol=1e-6)
    assert not torch.allclose(found.flip(3), wanted, atol=1e-2), "sabotage: mirrored"


def test_channels_last_is_seen_and_put_first() -> None:
    net = Tokens(last=True)
    layout = layout_of(net, "", SIZE)
    assert layout.axes == ("batch", "row", "col", "channel")
    with torch.no_grad():
        assert torch.equal(as_map(net(X), layout=layout), net(X).movedim(3, 1))


def test_layers_without_places_and_with_several_tensors() -> None:
    found = layouts(odd(), ["conv", "split", "head", "spare", "again@0"], SIZE)
    assert (
        [one.axes for one in found["conv"]]
        == [("batch", "channel", "row", "col")]
        == [one.axes for one in found["again@0"]]
    )
    assert len(found["split"]) == 2
    assert [(one.axes, one.spatial) for one in found["head"]] == [(("batch", "channel"), False)]
    assert found["spare"] == ()
    with pytest.raises(LayerError, match="gives 2 tensors"):
        layout_of(odd(), "split", SIZE)
    with pytest.raises(LayerError, match="Close matches: conv"):
        layouts(odd(), ["covn"], SIZE)
    with pytest.raises(LayerError, match="does not run on an input of 4 × 4 pixels"):
        layout_of(Tokens(), "mix", (4, 4))


class Choosy(torch.nn.Module):
    """A convolution whose next step depends on the values: it cannot be run without its weights."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 4, 4, stride=4)

    def forward(self, x: Any) -> Any:
        x = self.conv(x)
        return x if float(x.sum()) > 0 else -x


@pytest.mark.parametrize(
    ("net", "features", "why"),
    [
        (Choosy(), Choosy.__call__, "A copy of Choosy without its weights does not run on .* must not depend on values"),
        (Choosy(), lambda m, x: m.conv(x).mean((2, 3)), "its last features have the axes batch, channel"),
        (odd(), lambda m, x: m.split(m.conv(x)), "its last features are 2 tensors, not one"),
    ],
)  # fmt: skip
def test_a_network_without_a_map_says_why(net: Any, features: Any, why: str) -> None:
    def pool(_: Any, found: Any) -> Any:
        return (
            found.first.mean((2, 3))
            if isinstance(found, tuple)
            else found
            if found.ndim == 2
            else found.mean((2, 3))
        )

    spec = Spec("mine", weights="", dim=0, fit=Fit(*SIZE))
    made = TorchBackbone(net, spec, features=features, pool=pool)
    assert made.spec.map_channels == 0
    pixels = np.zeros((1, *SIZE, 3), np.uint8)
    assert made.embed(pixels).shape == (1, 4)
    with pytest.raises(BackboneError, match=f"'mine' gives an embedding only, no spatial map: {why}"):
        made.maps(pixels)


def test_without_a_layout_what_is_doubtful_must_be_told() -> None:
    tokens = torch.arange(2 * 25 * 3.0).reshape(2, 25, 3)
    with pytest.raises(LayerError, match="24 tokens are not a square grid"):
        as_map(tokens, prefix_tokens=1)
    assert torch.equal(as_map(tokens, prefix_tokens=1, grid=(4, 6))[:, :, 1, 2], tokens[:, 1 + 6 + 2])
    with pytest.raises(LayerError, match="does not tell which axis holds the channels"):
        as_map(torch.zeros(1, 4, 6, 8))
    assert as_map(torch.zeros(1, 4, 6, 8), channels_last=True).shape == (1, 8, 4, 6)
    with pytest.raises(LayerError, match="needs one tensor; this output holds 2"):
        as_map((tokens, tokens))
    with pytest.raises(LayerError, match=r"25 tokens are not 3 prefix tokens \+ a grid of 4 × 6"):
        as_map(tokens, prefix_tokens=3, grid=(4, 6))


@pytest.mark.parametrize("fused", [True, False])
def test_attention_weights_are_the_softmax_of_queries_and_keys(fused: bool) -> None:
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    layer = timm.layers.Attention(12, num_heads=3).eval()
    layer.fused_attn = fused
    x = torch.randn(2, 7, 12)
    with torch.no_grad():
        before = layer(x)
        q, k, _ = layer.qkv(x).reshape(2, 7, 3, 3, 4).permute(2, 0, 3, 1, 4)
        wanted = (q @ k.transpose(-2, -1) / 2).softmax(-1)
        net = torch.nn.Sequential(layer)
        with attention_weights(net) as read:
            after = net(x)
    assert torch.allclose(read["0"], wanted, atol=1e-6)
    assert not torch.allclose(read["0"], wanted.transpose(2, 3), atol=1e-3)
    assert torch.allclose(after, before, atol=1e-6)


def test_torchs_own_attention_tells_the_same_weights_itself() -> None:
    torch.manual_seed(0)
    layer = torch.nn.MultiheadAttention(8, 2, batch_first=True).eval()
    x = torch.randn(2, 5, 8)
    net = torch.nn.ModuleDict({"attention": layer})
    net.forward = lambda x: layer(x, x, x, need_weights=False)[0]
    with torch.no_grad():
        output, wanted = layer(x, x, x, average_attn_weights=False)
        with attention_weights(net) as read:
            found = net(x)
    assert torch.allclose(read["attention"], wanted, atol=1e-6)
    assert torch.allclose(found, output, atol=1e-6)
