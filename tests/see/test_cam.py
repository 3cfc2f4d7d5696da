"""Grad-CAM and LayerCAM: torch-cam and a closed form are the oracles."""

from __future__ import annotations

import pytest
import timm
import torch
import torchcam.methods

from featurelens.backbone.layout import layout_of
from featurelens.backbone.token_grid import NCHW
from featurelens.errors import LayerError
from featurelens.see.cam import grad_cam, layer_cam
from featurelens.see.cam_layer import cam_layer
from fixtures.scored_nets import class_of, conv, images


@pytest.mark.parametrize(("ours", "theirs"), [(grad_cam, "GradCAM"), (layer_cam, "LayerCAM")])
@pytest.mark.parametrize("layer", ["deep", "stem"])
def test_they_are_torch_cams(ours, theirs: str, layer: str) -> None:
    net, x = conv(torch.nn.Softplus), images(3)
    found = ours(class_of(net), x, module=net, layer=layer, layout=NCHW, chunk=2)
    with getattr(torchcam.methods, theirs)(net, layer) as extractor:
        scores = net(x.clone().requires_grad_())
        wanted = extractor([2, 2, 2], scores, normalized=False)[0]
    assert torch.allclose(found.clamp_min(0), wanted, atol=1e-9 * float(wanted.abs().max()))
    assert wanted.any()
    other = ours(class_of(net, 1), x, module=net, layer=layer, layout=NCHW)
    assert not torch.allclose(other.clamp_min(0), wanted, rtol=1e-3), "sabotage: another class"


def test_with_average_pooling_and_a_linear_head_the_map_sums_to_the_logit_minus_the_bias() -> None:
    net, x = conv(), images(3)
    found = grad_cam(class_of(net), x, module=net, layer="last", layout=NCHW)
    with torch.no_grad():
        wanted = net(x)[:, 2] - net.head.bias[2]
    assert torch.allclose(found.sum((1, 2)), wanted, atol=1e-12)
    assert (found < 0).any(), "signed: what lowers the score stays to be seen"
    early = grad_cam(class_of(net), x, module=net, layer="stem", layout=NCHW)
    assert not torch.allclose(early.sum((1, 2)), wanted, rtol=1e-2), "sabotage: true of the last map only"


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("test_resnet", "layer4"),
        ("test_vit", "blocks.5.norm1"),
        ("test_mambaout", ""),
        ("test_convnext", ""),
        ("test_nfnet", "final_act"),
    ],
)
def test_the_last_layer_with_places_that_count_is_found(name: str, layer: str) -> None:
    net = timm.create_model(name).eval()
    for parameter in net.parameters():
        parameter.requires_grad_(False)
    side = net.pretrained_cfg["input_size"][-1]
    x = torch.randn(2, 3, side, side)
    found, layout = cam_layer(class_of(net), net, x)
    assert found == layer or not layer, found
    maps = grad_cam(class_of(net), x, module=net, layer=found, layout=layout)
    assert min(maps.shape[1:]) > 1
    assert all(map_.std() > 0 for map_ in maps)


def test_patch_tokens_after_the_last_attention_tell_nothing() -> None:
    """Why the norm before it is read: only the class token goes on from the last block."""
    net = timm.create_model("test_vit").eval()
    x = torch.randn(1, 3, 160, 160)
    layout = layout_of(net, "blocks.5", (160, 160))
    after = grad_cam(class_of(net), x, module=net, layer="blocks.5", layout=layout)
    assert not after.any()


def test_a_layer_without_places_or_beside_the_way_is_named() -> None:
    net, x = conv(), images(1)
    with pytest.raises(LayerError, match="'head' gives no map"):
        cam_layer(class_of(net), net, x, layer="head")
    with pytest.raises(LayerError, match=r"has no layer 'deap'\. Close matches: deep"):
        cam_layer(class_of(net), net, x, layer="deap")
    with pytest.raises(LayerError, match="does not depend on what the layer 'deep'"):
        grad_cam(lambda x, _: (net(x)[:, 0] * 0).detach(), x, module=net, layer="deep", layout=NCHW)
