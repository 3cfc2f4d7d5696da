"""Training and keeping a fusion: with a probe on labels, or contrastively on two views of the same images."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from featurelens.adapt.losses import nt_xent
from featurelens.errors import InvalidInput
from featurelens.nn.fusion import TRAINED, Fusion, Weighted, make_fusion
from featurelens.shapes import Float, Float32

Arrays = Sequence[Float[np.ndarray, "n _"]]


def fuse(
    kind: str,
    sources: Arrays,
    *,
    labels: Sequence[str] | None = None,
    views: Arrays | None = None,
    dim: int = 256,
    heads: int = 4,
    epochs: int = 60,
    lr: float = 1e-3,
    seed: int = 0,
) -> Fusion:
    """A fitted fusion of one array of vectors per source (backbones, layers, scales, images and texts).

    `concat`, `pca` and `whitening` need nothing else. `weights` and `attention` are trained: with `labels` ("" is none) through a
    linear probe; else with `views`, the same images' vectors seen otherwise (augmented), by NT-Xent. Raises
    InvalidInput where there is nothing to train by, and UnknownName for another kind.

    >>> random = np.random.default_rng(0)
    >>> good, noise = np.eye(4)[[0, 1, 2, 3] * 8] + 0.1 * random.normal(size=(32, 4)), random.normal(size=(32, 6))
    >>> fusion = fuse("weights", [good, noise], labels=["a", "b", "c", "d"] * 8)
    >>> bool(fusion.weights[0] > 0.6)
    True
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        fusion = make_fusion(kind, [s.shape[1] for s in sources], dim=dim, heads=heads)
        given = _tensors(sources)
        fusion.fit(given)
        if kind in TRAINED:
            if labels is not None and len({label for label in labels if label}) > 1:
                _by_probe(fusion, given, labels, epochs, lr)
            elif views is not None:
                _by_views(fusion, given, _tensors(views), epochs, lr)
            else:
                raise InvalidInput(
                    f"The fusion '{kind}' is trained: give labels of two classes or more, or views= (the vectors of the "
                    "same images augmented). 'concat' and 'pca' need neither."
                )
    return fusion.eval()


@torch.no_grad()
def fused(fusion: nn.Module, sources: Arrays) -> Float32[np.ndarray, "n dim"]:
    """The fused vectors of these sources."""
    return fusion(_tensors(sources)).numpy()


def _by_probe(fusion: Fusion, sources: list[Tensor], labels: Sequence[str], epochs: int, lr: float) -> None:
    """Cross-entropy of a linear probe on the fused unit vectors; the probe is thrown away."""
    rows = torch.tensor([i for i, label in enumerate(labels) if label])
    names = sorted({label for label in labels if label})
    classes = torch.tensor([names.index(labels[int(i)]) for i in rows])
    known = [s[rows] for s in sources]
    with torch.no_grad():
        width = fusion([s[:1] for s in known]).shape[1]
    probe = nn.Linear(width, len(names))

    def loss(batch: Tensor) -> Tensor:
        vectors = F.normalize(fusion([s[batch] for s in known]), dim=1)
        return F.cross_entropy(
            10 * probe(vectors), classes[batch]
        )  # unit vectors alone would score too softly

    _train(fusion, loss, len(rows), epochs, lr, others=probe.parameters())


def _by_views(fusion: Fusion, first: list[Tensor], second: list[Tensor], epochs: int, lr: float) -> None:
    """NT-Xent between the fused vectors of two views of each image."""

    def loss(batch: Tensor) -> Tensor:
        return nt_xent(fusion([s[batch] for s in first]), fusion([s[batch] for s in second]))

    _train(fusion, loss, len(first[0]), epochs, lr)


def _train(
    fusion: Fusion, loss_of: Callable[[Tensor], Tensor], count: int, epochs: int, lr: float, *,
    others: Iterable[nn.Parameter] = (),
) -> None:  # fmt: skip
    """AdamW in batches of 128; a handful of weights in all moves faster than a matrix may."""
    own = 20 * lr if isinstance(fusion, Weighted) else lr
    groups = [{"params": list(fusion.parameters()), "lr": own}, {"params": list(others), "lr": lr}]
    optimizer = torch.optim.AdamW([g for g in groups if g["params"]], weight_decay=0.01)
    for _ in range(epochs):
        for batch in torch.randperm(count).split(128):
            if len(batch) < 2:
                continue
            loss = loss_of(batch)
            if not bool(torch.isfinite(loss)):
                raise InvalidInput(f"The fusion's loss is {loss.item()}; lower lr ({lr:g}).")
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


def write_fusion(fusion: Fusion, file: Path) -> None:
    """The fusion as ONNX: one input a source, any batch size, one output."""
    from featurelens.backbone.to_onnx import quiet

    class Joined(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fusion = fusion

        def forward(self, *sources: Tensor) -> Tensor:
            return self.fusion(sources)

    batch = torch.export.Dim("batch", min=1)
    with quiet(), torch.no_grad():
        program = torch.onnx.export(
            Joined().eval(), tuple(torch.rand(3, dim) for dim in fusion.dims), dynamo=True,
            dynamic_shapes=(tuple({0: batch} for _ in fusion.dims),), input_names=[f"source{n}" for n in range(len(fusion.dims))],
            output_names=["fused"], verbose=False,
        )  # fmt: skip
    assert program is not None
    program.save(file)


def _tensors(arrays: Arrays) -> list[Tensor]:
    return [torch.tensor(np.asarray(a), dtype=torch.float32) for a in arrays]
