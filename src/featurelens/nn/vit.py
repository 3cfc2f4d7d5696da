"""A complete small Vision Transformer (Dosovitskiy et al. 2021), readable and interchangeable with timm's."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from featurelens.errors import InvalidInput
from featurelens.nn.attention import MultiHeadAttention
from featurelens.nn.exchange import Rules
from featurelens.shapes import Float


class PatchEmbedding(nn.Module):
    """Squares of `patch` pixels, each projected to a token of `dim` numbers; row by row.

    An Image is Worth 16x16 Words, Dosovitskiy et al. 2021. Equals timm's PatchEmbed. Raises InvalidInput where the
    patches do not tile the image.

    >>> PatchEmbedding(32, 8, 24)(torch.rand(2, 3, 32, 32)).shape
    torch.Size([2, 16, 24])
    """

    names: ClassVar[dict[str, Rules]] = {"timm": (("^project", "proj"),)}

    def __init__(self, size: int, patch: int, dim: int, *, channels: int = 3) -> None:
        super().__init__()
        if patch < 1 or size % patch:
            raise InvalidInput(
                f"Patches of {patch} px do not tile an image of {size} px; give a size they divide."
            )
        self.size, self.count = size, (size // patch) ** 2
        self.project = nn.Conv2d(channels, dim, patch, stride=patch)

    def forward(self, x: Float[Tensor, "batch channel row col"]) -> Float[Tensor, "batch patch dim"]:
        if x.shape[2:] != (self.size, self.size):
            raise InvalidInput(
                f"This network takes {self.size} × {self.size} pixels; got {list(x.shape[2:])}."
            )
        return self.project(x).flatten(2).mT


class Block(nn.Module):
    """Attention, then a perceptron, each on normalised tokens and added to them (pre-norm)."""

    def __init__(self, dim: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.norm_attention = nn.LayerNorm(dim, eps=1e-6)
        self.attention = MultiHeadAttention(dim, heads)
        self.norm_mlp = nn.LayerNorm(dim, eps=1e-6)
        self.mlp = nn.Sequential(nn.Linear(dim, hidden), nn.GELU(), nn.Linear(hidden, dim))

    def forward(self, tokens: Float[Tensor, "batch token dim"]) -> Float[Tensor, "batch token dim"]:
        tokens = tokens + self.attention(self.norm_attention(tokens))
        return tokens + self.mlp(self.norm_mlp(tokens))


class VisionTransformer(nn.Module):
    """Patches and a class token with learned places → `depth` blocks → the class token's head.

    An Image is Worth 16x16 Words, Dosovitskiy et al. 2021. The defaults are ViT-S/16 (22,050,664 parameters, timm's
    vit_small_patch16_224). `features` and `pool` are what `nn.as_backbone` reads.

    >>> net = VisionTransformer(size=32, patch=8, dim=24, depth=2, heads=3, classes=5)
    >>> net(torch.rand(2, 3, 32, 32)).shape, net.attention(torch.rand(2, 3, 32, 32))[0].shape
    (torch.Size([2, 5]), torch.Size([2, 3, 17, 17]))
    """

    names: ClassVar[dict[str, Rules]] = {
        "timm": (
            (r"^patches\.project", "patch_embed.proj"),
            ("^class_token", "cls_token"),
            ("^positions", "pos_embed"),
            (r"^layers\.(\d+)\.norm_attention", r"blocks.\1.norm1"),
            (r"^layers\.(\d+)\.attention\.qkv", r"blocks.\1.attn.qkv"),
            (r"^layers\.(\d+)\.attention\.out", r"blocks.\1.attn.proj"),
            (r"^layers\.(\d+)\.norm_mlp", r"blocks.\1.norm2"),
            (r"^layers\.(\d+)\.mlp\.0", r"blocks.\1.mlp.fc1"),
            (r"^layers\.(\d+)\.mlp\.2", r"blocks.\1.mlp.fc2"),
        ),
        "torchvision": (
            (r"^patches\.project", "conv_proj"),
            ("^positions", "encoder.pos_embedding"),
            (r"^layers\.(\d+)\.norm_attention", r"encoder.layers.encoder_layer_\1.ln_1"),
            (r"^layers\.(\d+)\.attention\.qkv\.", r"encoder.layers.encoder_layer_\1.self_attention.in_proj_"),
            (r"^layers\.(\d+)\.attention\.out", r"encoder.layers.encoder_layer_\1.self_attention.out_proj"),
            (r"^layers\.(\d+)\.norm_mlp", r"encoder.layers.encoder_layer_\1.ln_2"),
            (r"^layers\.(\d+)\.mlp\.0", r"encoder.layers.encoder_layer_\1.mlp.0"),
            (r"^layers\.(\d+)\.mlp\.2", r"encoder.layers.encoder_layer_\1.mlp.3"),
            (r"^norm\.", "encoder.ln."),
            (r"^head\.", "heads.head."),
        ),
    }

    def __init__(
        self, *, size: int = 224, patch: int = 16, dim: int = 384, depth: int = 12, heads: int = 6,
        mlp: float = 4.0, classes: int = 1000,
    ) -> None:  # fmt: skip
        super().__init__()
        self.patches = PatchEmbedding(size, patch, dim)
        self.class_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.positions = nn.Parameter(torch.zeros(1, 1 + self.patches.count, dim))
        self.layers = nn.ModuleList(Block(dim, heads, int(dim * mlp)) for _ in range(depth))
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.head = nn.Linear(dim, classes) if classes else nn.Identity()
        self.apply(_begin)
        nn.init.trunc_normal_(self.positions, std=0.02)
        nn.init.normal_(self.class_token, std=1e-6)

    def features(self, x: Float[Tensor, "batch 3 row col"]) -> Float[Tensor, "batch token dim"]:
        """The last tokens; the class token comes first."""
        tokens = self._begun(x)
        for layer in self.layers:
            tokens = layer(tokens)
        return self.norm(tokens)

    def pool(self, tokens: Float[Tensor, "batch token dim"]) -> Float[Tensor, "batch dim"]:
        """The class token."""
        return tokens[:, 0]

    def forward(self, x: Float[Tensor, "batch 3 row col"]) -> Float[Tensor, "batch _"]:
        return self.head(self.pool(self.features(x)))

    def attention(
        self, x: Float[Tensor, "batch 3 row col"]
    ) -> list[Float[Tensor, "batch head asking asked"]]:
        """The attention weights of every layer."""
        tokens, found = self._begun(x), []
        for layer in self.layers:
            assert isinstance(layer, Block)
            added, weights = layer.attention.with_weights(layer.norm_attention(tokens))
            found.append(weights)
            tokens = tokens + added
            tokens = tokens + layer.mlp(layer.norm_mlp(tokens))
        return found

    def _begun(self, x: Tensor) -> Tensor:
        patches = self.patches(x)
        first = self.class_token.expand(len(x), -1, -1)
        return torch.cat((first, patches), 1) + self.positions


def _begin(layer: nn.Module) -> None:
    """The paper's first weights."""
    if isinstance(layer, nn.Linear):
        nn.init.trunc_normal_(layer.weight, std=0.02)
        nn.init.zeros_(layer.bias)
