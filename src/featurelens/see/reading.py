"""What named layers of a torch backbone make of images, each as a map or a vector."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor

from featurelens.backbone.find_layer import find_layer
from featurelens.backbone.layout import layouts
from featurelens.backbone.protocol import Backbone
from featurelens.backbone.tap import tap
from featurelens.backbone.token_grid import Grid, Layout, as_map
from featurelens.backbone.torch_backbone import TorchBackbone
from featurelens.errors import InvalidInput, LayerError
from featurelens.shapes import Float

EMBEDDING = "<embedding>"
LOGITS = "<logits>"


class Reading:
    """Calls with images in [0, 1] return {name: map [batch, channel, row, col] or vector [batch, dim]}.

    Names are layers ("layer3", "layer3@0" for its first call), EMBEDDING or LOGITS. Normalisation happens
    inside; token sequences come as maps without their prefix tokens; a pass ends at the last layer that is
    needed. Keep the network `untouched` around the calls. Raises LayerError for a layer that is unknown, does
    not run or has neither places nor a vector (windows), InvalidInput for a backbone that has no layers.

    >>> from featurelens import load_backbone  # doctest: +SKIP
    >>> net = load_backbone("resnet18", engine="torch")  # doctest: +SKIP
    >>> Reading(net, ["layer1"], (64, 64))(torch.zeros(1, 3, 64, 64))["layer1"].shape  # doctest: +SKIP
    torch.Size([1, 64, 16, 16])
    """

    def __init__(self, backbone: Backbone, names: Sequence[str], size: Grid) -> None:
        self.backbone = with_layers(backbone)
        self.size = size
        self._names = list(dict.fromkeys(names))
        layers = [name for name in self._names if name not in (EMBEDDING, LOGITS)]
        self._whole = LOGITS in self._names or EMBEDDING not in self._names
        self._layouts = self._find_layouts(layers)
        self._calls = self._find_calls(layers)

    def __call__(
        self, x01: Float[Tensor, "batch 3 row col"], *, detach: bool = False
    ) -> dict[str, Float[Tensor, "batch ..."]]:
        """One pass; `detach` reads without a path for gradients."""
        found: dict[str, Tensor] = {}
        stop = not {EMBEDDING, LOGITS} & set(self._names)
        with tap(self.backbone.module, list(self._calls.values()), stop_after=stop, detach=detach) as read:
            read.run(x01, forward=lambda x: found.update(self._forward(x)))
            for name, call in self._calls.items():
                found[name] = _plain(name, read[call], self._layouts[name])
        return found

    def _forward(self, x01: Tensor) -> dict[str, Tensor]:
        net, found = self.backbone, {}
        x = net.normalize(x01)
        if EMBEDDING in self._names:
            found[EMBEDDING] = net.pool(net.forward_features(x))
        if self._whole:
            output = net.logits(x) if LOGITS in self._names else net.module(x)
            found |= {LOGITS: output} if LOGITS in self._names else {}
        return found

    def _find_layouts(self, layers: Sequence[str]) -> dict[str, Layout]:
        bare = {name: find_layer(self.backbone.module, name)[0] for name in layers}
        found = layouts(self.backbone.module, sorted(set(bare.values())), self.size) if layers else {}
        for name, layer in bare.items():
            if len(found[layer]) != 1:
                what = f"gives {len(found[layer])} tensors" if found[layer] else "does not run"
                raise LayerError(f"The layer '{name}' {what}; choose one that gives one tensor.")
        return {name: found[layer][0] for name, layer in bare.items()}

    def _find_calls(self, layers: Sequence[str]) -> dict[str, str]:
        """Each name with its call spelt out ("layer@0"), so that a pass can stop there."""
        x01 = torch.zeros(1, 3, *self.size, device=self.backbone.device)
        with torch.no_grad(), tap(self.backbone.module, layers, detach=True) as read:
            read.run(x01, forward=self._forward)
            try:
                return {name: _spelt(name, len(read.calls(name))) for name in layers}
            except LayerError:
                if self._whole:
                    raise
            self._whole = True  # a layer of the head, which embedding leaves out
            read.run(x01, forward=self._forward)
            return {name: _spelt(name, len(read.calls(name))) for name in layers}


def with_layers(backbone: Any) -> TorchBackbone:
    """The backbone, if it is one that shows its layers and has gradients; else InvalidInput says what to do."""
    if isinstance(backbone, TorchBackbone):
        return backbone
    name = getattr(getattr(backbone, "spec", None), "name", type(backbone).__name__)
    raise InvalidInput(
        f"'{name}' runs on an engine that shows no layers and has no gradients. Load it on torch: "
        "load_backbone(name, engine='torch'), with any timm or torchvision network."
    )


def autocast(backbone: TorchBackbone) -> Any:
    """The precision in which the backbone itself embeds, as its spec says: bfloat16 on CUDA, unless fp32 was asked for."""
    return torch.autocast("cuda", torch.bfloat16) if backbone.spec.precision == "bf16" else nullcontext()


def _spelt(name: str, calls: int) -> str:
    layer, at, call = name.rpartition("@")
    return name if at and layer and call.isdecimal() else f"{name}@{calls - 1}"


def _plain(name: str, output: Any, layout: Layout) -> Tensor:
    if layout.spatial and (layout.arrange is not None or "batch" in layout.axes):
        return as_map(output, layout=layout)
    if layout.axes[:1] == ("batch",) and set(layout.axes[1:]) == {"channel"}:
        return output.flatten(1)
    raise LayerError(
        f"The layer '{name}' gives {tuple(output.shape)} with the axes {layout.axes}: neither a map nor one "
        "vector per image (it works on windows, or on pairs of tokens). Choose the layer around it."
    )
