"""Batch norms inside convolutions: outputs and gradients in double precision are those of the network itself."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from featurelens.backbone import folded as room  # noqa: E402
from featurelens.backbone import load_backbone  # noqa: E402
from featurelens.backbone.folded import folded  # noqa: E402
from featurelens.backbone.torch_backbone import TorchBackbone  # noqa: E402
from fixtures.small_nets import small_net  # noqa: E402


def lively(net: TorchBackbone, side: int) -> torch.Tensor:
    """Double precision, and statistics that are not 0 and 1; returns two images."""
    random = torch.Generator().manual_seed(0)
    net.module.double()
    with torch.no_grad():
        for part in net.module.modules():
            if isinstance(part, torch.nn.BatchNorm2d):
                part.running_mean.normal_(0, 0.1, generator=random)
                part.running_var.uniform_(0.5, 2, generator=random)
                part.weight.uniform_(0.5, 1.5, generator=random)
                part.bias.normal_(0, 0.1, generator=random)
    return torch.randn(2, 3, side, side, generator=random, dtype=torch.float64)


def norms(module: torch.nn.Module) -> int:
    return sum(isinstance(part, torch.nn.BatchNorm2d) for part in module.modules())


def answer_and_slope(module: torch.nn.Module, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    x = x.clone().requires_grad_()
    output = module(x)
    (slope,) = torch.autograd.grad(output[:, 1].sum(), x)
    return output.detach(), slope


@pytest.mark.parametrize(
    ("name", "left"),
    [
        ("small", 0),
        ("resnet18", 0),
        ("mobilenetv2_100", 0),
        ("mobilenetv3_small_050", 0),
        ("torchvision:googlenet", 2),  # the heads that only training runs
        ("densenet121", 62),  # norms of several maps joined stay
    ],
)
def test_answers_and_gradients_are_the_same(name: str, left: int) -> None:
    net = small_net() if name == "small" else load_backbone(name, engine="torch", pretrained=False, size=64)
    assert isinstance(net, TorchBackbone)
    x = lively(net, 32 if name == "small" else 64)
    quick = folded(net, x[:1])
    assert norms(net.module) > norms(quick.module) == left
    assert dict(net.module.named_modules()).keys() <= dict(quick.module.named_modules()).keys()
    for ours, theirs in zip(answer_and_slope(quick.module, x), answer_and_slope(net.module, x), strict=True):
        assert (ours - theirs).abs().max() <= 1e-9 * theirs.abs().max()
    embedding = [one.pool(one.forward_features(x)) for one in (quick, net)]
    torch.testing.assert_close(*embedding, rtol=1e-9, atol=1e-9)


def test_the_network_itself_is_not_touched() -> None:
    net = small_net()
    before = {k: v.clone() for k, v in net.module.state_dict().items()}
    net.module.train()
    quick = folded(net, torch.ones(1, 3, 32, 32))
    assert not quick.module.training
    assert not any(p.requires_grad for p in quick.module.parameters())
    assert all(part.training and not part._forward_hooks for part in net.module.modules())
    assert all(torch.equal(v, before[k]) for k, v in net.module.state_dict().items())
    assert all(p.requires_grad for p in net.module.parameters())


def test_a_convolution_that_is_to_be_read_keeps_its_output() -> None:
    net = small_net()
    assert norms(folded(net, torch.ones(1, 3, 32, 32), keep=["stem"]).module) == 1
    assert norms(folded(net, torch.ones(1, 3, 32, 32), keep=["norm"]).module) == 0


def test_a_wrong_fold_is_noticed_and_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    net = small_net()
    x = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        net.module.norm.bias.fill_(0.5)  # pyright: ignore[reportCallIssue]
    monkeypatch.setattr(
        room, "_fold", lambda module, _conv, norm: module.set_submodule(norm, torch.nn.Identity())
    )
    assert folded(net, x) is net


class Twice(torch.nn.Module):
    """One convolution before two norms, and one used two times: neither can be folded."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.deep = torch.nn.Conv2d(3, 3, 1), torch.nn.Conv2d(3, 3, 1)
        self.one, self.two, self.three = (torch.nn.BatchNorm2d(3) for _ in range(3))
        for i, norm in enumerate((self.one, self.two, self.three)):
            torch.nn.init.constant_(norm.weight, 1.5 + i)
            torch.nn.init.constant_(norm.running_mean, 0.3)  # pyright: ignore[reportArgumentType]

    def forward(self, x):
        both = self.conv(x)
        x = self.one(both) + self.two(both)
        return self.three(self.deep(self.deep(x))).mean((2, 3))


def test_what_cannot_be_folded_stays_as_it_is() -> None:
    from fixtures.small_nets import backbone_of

    net = backbone_of(Twice(), 8, features=lambda module, x: module.conv(x))
    assert folded(net, torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(1))) is net
    plain = load_backbone("test_vit", engine="torch", pretrained=False)
    assert isinstance(plain, TorchBackbone)
    assert folded(plain, torch.zeros(1, 3, 160, 160)) is plain
