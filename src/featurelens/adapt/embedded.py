"""From a pretraining checkpoint to the embedded backbone: fit codebook and projections, then export the bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from featurelens.adapt.augment import Augment
from featurelens.adapt.checkpoints import read
from featurelens.adapt.fuse import codebook, discriminant
from featurelens.adapt.recipe import MEAN, STD
from featurelens.backbone.half import PRECISION, halve_weights
from featurelens.backbone.protocol import Spec
from featurelens.backbone.torch_backbone import TorchBackbone
from featurelens.images.fit import Fit
from featurelens.images.procedural import render_tensor
from featurelens.nn.descriptor import SIZE, Branch, Descriptor

PLAN = {
    "middle": ("whole+quarters", 96), "deep": ("whole+quarters", 128), "shape": ("cells", 160),
    "parts": ("whole+centre", 64), "colour": ("whole+centre", 64),
}  # fmt: skip
WEIGHTS = {"middle": 0.7, "deep": 0.8, "shape": 1.0, "parts": 1.0, "colour": 0.8}
PAIRS, FIT_SEED = 1536, 11
FIT_AUGMENT = Augment(
    area=(0.6, 1.0), turn=8.0, brightness=0.3, contrast=0.3, saturation=0.3, hue=0.03, grey=0.0, blur=0.2
)


def trunk_of(checkpoint: dict[str, Any]) -> nn.Module:
    """The averaged network of a checkpoint as a timm feature pyramid."""
    import timm

    recipe = checkpoint["recipe"]
    trunk = timm.create_model(recipe["architecture"], features_only=True, **recipe["options"])
    own = trunk.state_dict()
    found = {
        k.removeprefix("encoder."): v for k, v in checkpoint["average"].items() if k.startswith("encoder.")
    }
    trunk.load_state_dict({name: found[name] for name in own})
    return trunk.eval()


def fit_views(pairs: int, seed: int, *, images: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Pairs at the network's size, softly augmented, uint8: two renderings of a programme, or one of `images` twice."""
    source = torch.Generator().manual_seed(seed)
    first, second = [], []
    for chunk in range(pairs // 128):
        if images is None:
            drawn = render_tensor(programmes=128, views=2, size=SIZE, seed=seed * 1000 + chunk)
            both = drawn[0::2], drawn[1::2]
        else:
            both = (images[torch.arange(chunk * 128, (chunk + 1) * 128) % len(images)],) * 2
        first.append((FIT_AUGMENT(both[0], SIZE, source) * 255).round().to(torch.uint8))
        second.append((FIT_AUGMENT(both[1], SIZE, source) * 255).round().to(torch.uint8))
    return torch.cat(first), torch.cat(second)


@torch.no_grad()
def fit(
    descriptor: Descriptor, first: Tensor, second: Tensor, *, shrink: float = 0.1, power: float = 0.5
) -> None:
    """Set the codebook of parts and every branch's projection from procedural pairs (uint8)."""
    source = torch.Generator().manual_seed(7)
    patches = []
    for batch in first[:1024].split(64):
        cut = (
            descriptor.parts.patches(descriptor.gradients(batch.float() / 255))
            .permute(0, 2, 3, 1)
            .flatten(0, 2)
        )
        patches.append(cut[torch.randperm(len(cut), generator=source)[:1200]])
    vectors = torch.cat(patches)
    strong = vectors.norm(dim=1) > 0.7
    descriptor.parts.centres.copy_(codebook(vectors[strong], len(descriptor.parts.centres), source))

    def maps(images: Tensor) -> Tensor:
        return torch.cat(
            [
                descriptor.features((b.float() / 255 - descriptor.mean) / descriptor.std)
                for b in images.split(64)
            ]
        )

    a, b = maps(first), maps(second)
    for branch in descriptor.branches.values():
        assert isinstance(branch, Branch)
        mean, projection = discriminant(
            branch.pooled(a), branch.pooled(b), branch.projection.shape[1], shrink=shrink, power=power
        )
        branch.mean.copy_(mean)
        branch.projection.copy_(projection)


def assemble(checkpoint: dict[str, Any]) -> Descriptor:
    """The network with its trunk from the checkpoint; the rest still to be fitted."""
    return Descriptor(trunk_of(checkpoint), mean=MEAN, std=STD, plan=PLAN, weights=WEIGHTS).eval()


def _features(module: Any, x: Tensor) -> Tensor:
    return module.features(x)


def _pool(module: Any, maps: Tensor) -> Tensor:
    return module.pool(maps)


def as_backbone(descriptor: Descriptor, *, name: str = "embedded") -> TorchBackbone:
    """The descriptor as a torch Backbone."""
    spec = Spec(
        name=name, weights="", dim=0, fit=Fit(SIZE, SIZE, crop_pct=1.0, interpolation="bilinear"), mean=MEAN,
        std=STD, licence="apache-2.0", precision=PRECISION,
    )  # fmt: skip
    return TorchBackbone(descriptor, spec, features=_features, pool=_pool)


def write_embedded(descriptor: Descriptor, folder: Path, *, name: str = "embedded") -> TorchBackbone:
    """The bundle with fp16 weights: rounded first, so that torch and the file hold the same numbers."""
    from featurelens.backbone.to_onnx import export_bundle

    with torch.no_grad():
        for tensor in descriptor.state_dict().values():
            if tensor.is_floating_point():
                tensor.copy_(tensor.half().float())
    backbone = as_backbone(descriptor, name=name)
    export_bundle(backbone, folder, edit=halve_weights)
    return backbone


def make_bundle(checkpoint: Path, folder: Path, *, pairs: int = PAIRS, seed: int = FIT_SEED) -> TorchBackbone:
    """Everything after the training, from `checkpoint.pt` to the finished bundle."""
    descriptor = assemble(read(checkpoint))
    fit(descriptor, *fit_views(pairs, seed))
    return write_embedded(descriptor, folder)
