"""A complete small EfficientNet with compound scaling (Tan & Le 2019), interchangeable with timm's and torchvision's."""

from __future__ import annotations

import math
from typing import ClassVar, NamedTuple

from torch import Tensor, nn

from featurelens.catalog import unknown
from featurelens.nn.exchange import Rules
from featurelens.nn.mbconv import WIDENED, WITHOUT_WIDENING, MBConv, convolution
from featurelens.shapes import Float


class Stage(NamedTuple):
    """Blocks of one resolution, before scaling."""

    widen: int
    kernel: int
    stride: int
    channels: int
    repeats: int


STAGES = (
    Stage(1, 3, 1, 16, 1), Stage(6, 3, 2, 24, 2), Stage(6, 5, 2, 40, 2), Stage(6, 3, 2, 80, 3),
    Stage(6, 5, 1, 112, 3), Stage(6, 5, 2, 192, 4), Stage(6, 3, 1, 320, 1),
)  # fmt: skip
STEM, LAST = 32, 1280


class Scale(NamedTuple):
    """The compound of table 1: width, depth, the size in pixels and the dropout that go together."""

    width: float
    depth: float
    size: int
    dropout: float


SCALES = {
    "b0": Scale(1.0, 1.0, 224, 0.2), "b1": Scale(1.0, 1.1, 240, 0.2), "b2": Scale(1.1, 1.2, 260, 0.3),
    "b3": Scale(1.2, 1.4, 300, 0.3), "b4": Scale(1.4, 1.8, 380, 0.4), "b5": Scale(1.6, 2.2, 456, 0.4),
    "b6": Scale(1.8, 2.6, 528, 0.5), "b7": Scale(2.0, 3.1, 600, 0.5),
}  # fmt: skip


def scaled_channels(channels: int, width: float) -> int:
    """`channels` times `width`, rounded to a multiple of 8 and never more than a tenth below.

    >>> scaled_channels(32, 1.1), scaled_channels(24, 1.4), scaled_channels(16, 0.5)
    (32, 32, 8)
    """
    wanted = channels * width
    rounded = max(8, int(wanted + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * wanted else rounded


def _in_stages(library: str) -> list[tuple[str, str]]:
    """The blocks' names with their place in the network; torchvision counts the stem as a stage."""
    found = []
    for n in range(len(STAGES)):
        place = f"blocks.{n}" if library == "timm" else f"features.{n + 1}"
        for old, new in (WITHOUT_WIDENING if STAGES[n].widen == 1 else WIDENED)[library]:
            found.append((rf"^stages\.{n}\.(\d+)\.{old}", rf"{place}.\1." + new.replace(r"\1", r"\2")))
    return found


class EfficientNet(nn.Module):
    """Stem → seven stages of MBConv → a last convolution → mean → dropout → head.

    EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks, Tan & Le 2019. The default is B0
    (5,288,548 parameters); `scaled("b3")` makes the others. `width` and `depth` scale channels and blocks together.
    `eps` is that of the batch norms: 1e-5 as timm has it, 1e-3 for torchvision's b5, b6 and b7.

    >>> import torch
    >>> net = EfficientNet(width=0.25, depth=0.3, classes=5)
    >>> net(torch.rand(2, 3, 64, 64)).shape, net.features(torch.rand(2, 3, 64, 64)).shape
    (torch.Size([2, 5]), torch.Size([2, 320, 2, 2]))
    """

    names: ClassVar[dict[str, Rules]] = {
        "timm": (*_in_stages("timm"), ("^stem.0", "conv_stem"), ("^stem.1", "bn1"), ("^last.0", "conv_head"),
                 ("^last.1", "bn2"), ("^head", "classifier")),
        "torchvision": (*_in_stages("torchvision"), ("^stem", "features.0"), ("^last", "features.8"),
                        ("^head", "classifier.1")),
    }  # fmt: skip

    def __init__(
        self, *, width: float = 1.0, depth: float = 1.0, classes: int = 1000, dropout: float = 0.2,
        drop: float = 0.2, eps: float = 1e-5,
    ) -> None:  # fmt: skip
        super().__init__()
        channels = scaled_channels(STEM, width)
        self.stem = convolution(3, channels, 3, stride=2, eps=eps)
        repeats = [math.ceil(stage.repeats * depth) for stage in STAGES]
        self.stages, done = nn.Sequential(), 0
        for stage, count in zip(STAGES, repeats, strict=True):
            blocks, out = nn.Sequential(), scaled_channels(stage.channels, width)
            for n in range(count):
                blocks.append(
                    MBConv(
                        channels, out, kernel=stage.kernel, stride=stage.stride if n == 0 else 1,
                        widen=stage.widen, drop=drop * done / sum(repeats), eps=eps,
                    )
                )  # fmt: skip
                channels, done = out, done + 1
            self.stages.append(blocks)
        last = scaled_channels(LAST, width)
        self.last = convolution(channels, last, 1, eps=eps)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(last, classes) if classes else nn.Identity()

    @classmethod
    def scaled(cls, name: str, *, classes: int = 1000, eps: float = 1e-5) -> EfficientNet:
        """B0 to B7 of the paper; UnknownName for others. `SCALES[name].size` is the size they were meant for."""
        if name not in SCALES:
            raise unknown("EfficientNet", name, SCALES)
        scale = SCALES[name]
        return cls(width=scale.width, depth=scale.depth, classes=classes, dropout=scale.dropout, eps=eps)

    def features(
        self, x: Float[Tensor, "batch 3 row col"]
    ) -> Float[Tensor, "batch channel grid_row grid_col"]:
        """The last map."""
        return self.last(self.stages(self.stem(x)))

    def pool(self, maps: Float[Tensor, "batch channel grid_row grid_col"]) -> Float[Tensor, "batch channel"]:
        """The mean of each channel."""
        return maps.mean((2, 3))

    def forward(self, x: Float[Tensor, "batch 3 row col"]) -> Float[Tensor, "batch _"]:
        return self.head(self.dropout(self.pool(self.features(x))))
