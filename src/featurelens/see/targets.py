"""What is to be explained: a class score, the likeness to another image, or any scalar of the output."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from featurelens.backbone.nested import tensors
from featurelens.backbone.torch_backbone import TorchBackbone
from featurelens.backbone.untouched import untouched
from featurelens.errors import BackboneError, InvalidInput
from featurelens.images.decode import DEFAULT_MAX_PIXELS, decode
from featurelens.see.class_names import class_by_name, class_names
from featurelens.see.score import Score
from featurelens.shapes import UInt8

Reads = Literal["logits", "embedding"]


@dataclass(frozen=True, eq=False)
class Target:
    """A scalar of the output: `of` is given outputs [row, n] and the number of the image of each row.

    `reads` says which outputs: the class scores of the network's own head, or the embedding. `names` tells
    for each image what was asked (one name: the same for all).
    """

    reads: Reads
    of: Callable[[Tensor, Tensor], Tensor]
    names: tuple[str, ...]

    def name(self, image: int) -> str:
        """What was asked of this image, in words."""
        return self.names[image if len(self.names) > 1 else 0]

    def part(self, images: slice) -> Target:
        """The same, asked of some of the images, which are then numbered from 0."""
        names = self.names[images] if len(self.names) > 1 else self.names
        return Target(self.reads, lambda outputs, which: self.of(outputs, which + images.start), names)


def class_score(index: int | Sequence[int], *, names: Sequence[str] | None = None) -> Target:
    """The score (logit) of a class, or of one class for each image; `names` are those of all classes."""
    indices = [int(index)] if isinstance(index, int | np.integer) else [int(i) for i in index]
    table = torch.tensor(indices)

    def of(outputs: Tensor, which: Tensor) -> Tensor:
        wanted = table.to(outputs.device)[which if len(indices) > 1 else torch.zeros_like(which)]
        if bool((strange := (wanted < 0) | (wanted >= outputs.shape[1])).any()):
            raise InvalidInput(
                f"There is no class {int(wanted[strange][0])}: the network has {outputs.shape[1]} classes, numbered from 0."
            )
        return outputs.gather(1, wanted[:, None])[:, 0]

    return Target("logits", of, tuple(_called(i, names) for i in indices))


def _called(index: int, names: Sequence[str] | None) -> str:
    return f"{names[index]} (class {index})" if names and 0 <= index < len(names) else f"class {index}"


def likeness(
    backbone: TorchBackbone, other: UInt8[np.ndarray, "row col 3"], *, name: str = "another image"
) -> Target:
    """The cosine similarity of the embedding to that of another image (pixels at the backbone's size)."""
    with untouched(backbone.module), torch.inference_mode(False), torch.no_grad():
        x = backbone.normalize(backbone.prepare(other[None]))
        goal = F.normalize(backbone.pool(backbone.forward_features(x)), dim=1)
    return Target(
        "embedding", lambda out, _: (F.normalize(out, dim=1) * goal).sum(1), (f"likeness to {name}",)
    )


def scalar(function: Callable[[Tensor], Tensor], *, reads: Reads = "logits", name: str = "") -> Target:
    """Any function from outputs [row, n] to [row], such as a margin: `lambda out: out[:, 3] - out[:, 5]`."""
    known = name or getattr(function, "__name__", "function").replace("<lambda>", "a function of the output")
    return Target(reads, lambda outputs, _: function(outputs), (known,))


def to_target(
    asked: Any, backbone: TorchBackbone, *, images: int, max_pixels: int = DEFAULT_MAX_PIXELS
) -> Target | None:
    """What the user gave as a target of so many `images`: a class, a function, a picture; None stays None.

    A picture may have `max_pixels`. Raises InvalidInput for anything else, BackboneError where a class is asked by name of
    a network without a classifier.
    """
    if asked is None or isinstance(asked, Target):
        return asked
    if isinstance(asked, str):
        asked = class_by_name(backbone, asked)
    if isinstance(asked, int | np.integer):
        return class_score(int(asked), names=class_names(backbone))
    if isinstance(asked, np.ndarray) and asked.ndim == 3:
        return likeness(backbone, decode(asked, fit=backbone.spec.fit, max_pixels=max_pixels).pixels)
    if isinstance(asked, list | tuple) and all(isinstance(i, int | np.integer) for i in asked):
        if len(asked) != images:
            raise InvalidInput(f"There are {images} images and {len(asked)} classes; give one for each.")
        return class_score(asked, names=class_names(backbone))
    if callable(asked):
        function: Callable[..., Any] = asked
        return scalar(function, reads="logits" if has_classes(backbone) else "embedding")
    raise InvalidInput(
        f"target={asked!r} is none of: None (the predicted class), a class number or name, one number for each image, the "
        "pixels of another image, a function of the outputs, a Target."
    )


def seen_class(backbone: TorchBackbone, x: Tensor) -> Target:
    """The class that the network sees in each of the normalised images; BackboneError where it has none."""
    with torch.no_grad():
        return class_score(logits(backbone, x).argmax(1).tolist(), names=class_names(backbone))


def scorer(backbone: TorchBackbone, target: Target) -> Score:
    """The target as a function of normalised images."""
    if target.reads == "embedding":
        return lambda x, which: target.of(backbone.pool(backbone.forward_features(x)), which)
    return lambda x, which: target.of(logits(backbone, x), which)


def has_classes(backbone: TorchBackbone) -> bool:
    """Whether the network has a classifier of its own."""
    return getattr(backbone.module, "num_classes", None) != 0


def logits(backbone: TorchBackbone, x: Tensor) -> Tensor:
    """Class scores [row, class]; BackboneError, with what to do, for networks without a classifier."""
    try:
        outputs = backbone.logits(x)
    except BackboneError as error:
        raise BackboneError(
            f"{error} Explain the likeness to another image instead (--against OTHER; in Python target=pixels), or "
            "give a function of the embedding."
        ) from error
    found = tensors(outputs)
    if not found or found[0].ndim != 2:
        shape = tuple(found[0].shape) if found else "nothing"
        raise BackboneError(f"'{backbone.spec.name}' gives {shape}, not scores of classes [image, class].")
    return found[0]
