"""Small documented building blocks, each with its paper; weights go to and from timm's and torchvision's versions."""

from __future__ import annotations

from featurelens.nn.attention import MultiHeadAttention
from featurelens.nn.backbone import as_backbone
from featurelens.nn.cbam import CBAM, ChannelAttention
from featurelens.nn.classifier import AttentionClassifier, AttentionHead, Scored
from featurelens.nn.efficientnet import EfficientNet
from featurelens.nn.exchange import export_to, load_from
from featurelens.nn.fusion import PCA, AttentionFusion, Concat, Weighted, make_fusion
from featurelens.nn.mbconv import MBConv
from featurelens.nn.spatial import Attended, SpatialAttention
from featurelens.nn.squeeze import SqueezeExcitation
from featurelens.nn.vit import PatchEmbedding, VisionTransformer

__all__ = [
    "CBAM",
    "PCA",
    "Attended",
    "AttentionClassifier",
    "AttentionFusion",
    "AttentionHead",
    "ChannelAttention",
    "Concat",
    "EfficientNet",
    "MBConv",
    "MultiHeadAttention",
    "PatchEmbedding",
    "Scored",
    "SpatialAttention",
    "SqueezeExcitation",
    "VisionTransformer",
    "Weighted",
    "as_backbone",
    "export_to",
    "load_from",
    "make_fusion",
]
