"""From a pretraining checkpoint to the embedded backbone: fit mixtures and projections, then export the bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from featurelens.adapt.augment import Augment
from featurelens.adapt.fuse import discriminant
from featurelens.adapt.learner import REFUSALS
from featurelens.adapt.recipe import MEAN, STD
from featurelens.backbone.half import PRECISION, halve_weights
from featurelens.backbone.protocol import Spec
from featurelens.backbone.torch_backbone import TorchBackbone
from featurelens.errors import BackboneError
from featurelens.images.fit import Fit
from featurelens.images.procedural import render_tensor
from featurelens.nn.descriptor import DETAIL, STAGES, Branch, Descriptor
from featurelens.nn.encoders import SIZE
from featurelens.nn.fisher import Fisher

# Length and weight of each branch, and the power of its whitening.
PLAN = {"deep": (192, 1.4), "outline": (128, 1.0), "gradients": (192, 1.0), "colours": (128, 1.25)}
WHITENING = {"deep": 0.4, "outline": 0.4, "gradients": 0.25, "colours": 0.25}
PAIRS, OWN_PAIRS = 3072, 1024  # procedural, or of one's own images; a thousand take about a minute
FIT_SEED = 11
FIT_AUGMENT = Augment(
    area=(0.6, 1.0), turn=8.0, brightness=0.3, contrast=0.3, saturation=0.3, hue=0.03, grey=0.0, blur=0.2
)


def trunk_of(checkpoint: dict[str, Any]) -> nn.Module:
    """The averaged network of a checkpoint as a timm feature pyramid, up to the last stage that the descriptor uses.

    Raises BackboneError for a network that has no such stages.
    """
    import timm

    recipe = checkpoint["recipe"]
    found = {
        k.removeprefix("encoder."): v for k, v in checkpoint["average"].items() if k.startswith("encoder.")
    }
    try:
        trunk = timm.create_model(
            recipe["architecture"], features_only=True, out_indices=STAGES, **recipe["options"]
        )
        trunk.load_state_dict({name: found[name] for name in trunk.state_dict()})
    except REFUSALS as error:
        raise BackboneError(
            f'The recipe\'s result is "descriptor", which is built on the stages of a network such as resnet18; '
            f"'{recipe['architecture']}' does not give them ({type(error).__name__}: {error}). Set result = \"network\" in "
            "the recipe for the bare network."
        ) from error
    return trunk.eval()


def fit_views(images: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Pairs at the network's size, softly augmented, uint8: two renderings of a programme, or one of `images` twice."""
    source = torch.Generator().manual_seed(FIT_SEED)
    first, second = [], []
    for chunk in range((PAIRS if images is None else OWN_PAIRS) // 128):
        if images is None:
            drawn = render_tensor(programmes=128, views=2, size=SIZE, seed=FIT_SEED * 1000 + chunk)
            both = drawn[0::2], drawn[1::2]
        else:
            both = (images[torch.arange(chunk * 128, (chunk + 1) * 128) % len(images)],) * 2
        first.append((FIT_AUGMENT(both[0], SIZE, source) * 255).round().to(torch.uint8))
        second.append((FIT_AUGMENT(both[1], SIZE, source) * 255).round().to(torch.uint8))
    return torch.cat(first), torch.cat(second)


@torch.no_grad()
def fit(descriptor: Descriptor, first: Tensor, second: Tensor) -> None:
    """Set mixtures and projections of all branches from pairs of images (uint8)."""

    def maps(images: Tensor) -> Tensor:
        parts = [
            descriptor.features((b.float() / 255 - descriptor.mean) / descriptor.std)
            for b in images.split(64)
        ]
        return torch.cat(parts)

    a, b = maps(first), maps(second)
    for name, branch in descriptor.branches.items():
        assert isinstance(branch, Branch)
        if isinstance(branch.encoder, Fisher):
            branch.encoder.fit(a[:2048, branch.channels] / DETAIL)
        rows_a, rows_b = (torch.cat([branch.encoded(m) for m in half.split(32)]) for half in (a, b))
        mean, projection = discriminant(rows_a, rows_b, branch.projection.shape[1], power=WHITENING[name])
        branch.mean.copy_(mean)
        branch.projection.copy_(projection)


def assemble(checkpoint: dict[str, Any]) -> Descriptor:
    """The network with its trunk from the checkpoint; the rest still to be fitted."""
    return Descriptor(trunk_of(checkpoint), mean=MEAN, std=STD, plan=PLAN).eval()


@torch.no_grad()
def fill(descriptor: Descriptor) -> None:
    """Random numbers where `fit` would set mixtures and projections: enough to try an export."""
    source = torch.Generator().manual_seed(FIT_SEED)
    for tensor in descriptor.branches.state_dict().values():
        if tensor.is_floating_point():
            tensor.copy_(0.1 * torch.randn(tensor.shape, generator=source))


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
