"""MBConv: widen, look at each channel alone, weigh the channels, narrow again (Sandler et al. 2018, Tan & Le 2019)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from featurelens.errors import InvalidInput
from featurelens.nn.exchange import Rules
from featurelens.nn.squeeze import SqueezeExcitation
from featurelens.shapes import Float


def convolution(
    channels: int,
    out: int,
    kernel: int,
    *,
    stride: int = 1,
    groups: int = 1,
    active: bool = True,
    eps: float = 1e-5,
) -> nn.Sequential:
    """Convolution without bias, batch norm, and SiLU if `active`."""
    layers: list[nn.Module] = [
        nn.Conv2d(channels, out, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(out, eps=eps),
    ]
    return nn.Sequential(*layers, *([nn.SiLU()] if active else []))


class MBConv(nn.Module):
    """An inverted bottleneck with squeeze-and-excitation; added to its input where the shape stays.

    MobileNetV2 (Sandler et al. 2018) and EfficientNet (Tan & Le 2019). Equals timm's InvertedResidual (for `widen`
    = 1 DepthwiseSeparableConv) and torchvision's MBConv. `drop` is the share of images whose sum leaves the block
    out in training (stochastic depth, Huang et al. 2016). Raises InvalidInput for an even kernel and a drop of 1.

    >>> MBConv(16, 24, kernel=3, stride=2, widen=6)(torch.rand(2, 16, 8, 8)).shape
    torch.Size([2, 24, 4, 4])
    """

    def __init__(
        self,
        channels: int,
        out: int,
        *,
        kernel: int = 3,
        stride: int = 1,
        widen: int = 6,
        drop: float = 0.0,
        eps: float = 1e-5,
    ) -> None:
        super().__init__()
        if kernel % 2 == 0 or not 0 <= drop < 1:
            raise InvalidInput(
                f"kernel={kernel}, drop={drop}: the kernel must be odd, drop a share of at least 0 and below 1."
            )
        wide = channels * widen
        self.widen = convolution(channels, wide, 1, eps=eps) if widen != 1 else None
        self.depthwise = convolution(wide, wide, kernel, stride=stride, groups=wide, eps=eps)
        self.squeeze = SqueezeExcitation(wide, max(1, channels // 4), activation=nn.SiLU)
        self.narrow = convolution(wide, out, 1, active=False, eps=eps)
        self.drop, self.added = drop, stride == 1 and channels == out

    @property
    def names(self) -> dict[str, Rules]:
        return WITHOUT_WIDENING if self.widen is None else WIDENED

    def forward(
        self, x: Float[Tensor, "batch channel row col"]
    ) -> Float[Tensor, "batch out new_row new_col"]:
        wide = x if self.widen is None else self.widen(x)
        found = self.narrow(self.squeeze(self.depthwise(wide)))
        if not self.added:
            return found
        if self.training and self.drop:
            kept = torch.rand(len(x), 1, 1, 1, device=x.device) >= self.drop
            found = found * kept / (1 - self.drop)
        return x + found


def rules(timm: tuple[tuple[str, str], ...], places: tuple[str, ...]) -> dict[str, Rules]:
    """Names of one block in both libraries; `places` are torchvision's numbers of our parts in `block`."""
    squeeze = places[-2]
    visions = tuple(
        (rf"{part}\.(\d)", rf"block.{n}.\1") for part, n in zip(_PARTS[-len(places) :], places, strict=True)
    )
    return {
        "timm": (*timm, (r"squeeze\.fc1", "se.conv_reduce"), (r"squeeze\.fc2", "se.conv_expand")),
        "torchvision": ((r"squeeze\.fc", rf"block.{squeeze}.fc"), *visions),
    }


_PARTS = ("widen", "depthwise", "squeeze", "narrow")
WIDENED = rules(
    (
        (r"widen\.0", "conv_pw"), (r"widen\.1", "bn1"), (r"depthwise\.0", "conv_dw"),
        (r"depthwise\.1", "bn2"), (r"narrow\.0", "conv_pwl"), (r"narrow\.1", "bn3"),
    ),
    ("0", "1", "2", "3"),
)  # fmt: skip
WITHOUT_WIDENING = rules(
    (
        (r"depthwise\.0", "conv_dw"), (r"depthwise\.1", "bn1"), (r"narrow\.0", "conv_pw"), (r"narrow\.1", "bn2"),
    ),
    ("0", "1", "2"),
)  # fmt: skip
