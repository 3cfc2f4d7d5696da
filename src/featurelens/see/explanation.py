"""Why did the network answer as it did? One call for every method, target and network."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from featurelens.backbone.folded import folded
from featurelens.backbone.protocol import Backbone
from featurelens.backbone.torch_backbone import TorchBackbone
from featurelens.backbone.untouched import untouched
from featurelens.errors import BackboneError, InvalidInput
from featurelens.images.decode import DEFAULT_MAX_PIXELS, Source
from featurelens.see.methods import MANY_PASSES, Answer, Question, answer, settings
from featurelens.see.read_pixels import read_pixels, refuse_single
from featurelens.see.score import pieces, scores
from featurelens.see.targets import Target, scorer, seen_class, to_target
from featurelens.shapes import Float, UInt8

if TYPE_CHECKING:
    from featurelens.see.trust import Trust


@dataclass(frozen=True, eq=False)
class Explanation:
    """Where in an image the score comes from.

    `values` is the raw map at the method's own grid: positive raises the score, negative lowers it (a size,
    without sign, for saliency and SmoothGrad); `channels` has one value per colour channel where the
    method tells them apart. `score` is what was explained. `facts` holds what the method knows of itself:
    for integrated gradients `base`, `gap` (share of the score's rise that the map does not add up to),
    `complete` (the gap is within the tolerance) and `steps`.
    """

    method: str
    target: str
    backbone: str
    fingerprint: str
    pixels: UInt8[np.ndarray, "row col 3"]
    values: Float[np.ndarray, "map_row map_col"]
    score: float
    channels: Float[np.ndarray, "3 row col"] | None = None
    layer: str | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    name: str = ""
    trust: Trust | None = None

    def picture(self, **drawing: Any) -> UInt8[np.ndarray, "picture_row picture_col 3"]:
        """The image beside the map laid over it, with captions; `drawing` as in `draw_explanation`."""
        from featurelens.see.render.explained import draw_explanation

        return draw_explanation(self, **drawing)

    def how(self) -> dict[str, Any]:
        """How it was made: everything but the numbers, for JSON."""
        kept = ("method", "target", "backbone", "fingerprint", "score", "layer", "facts", "settings")
        told = {"image": self.name, **{name: getattr(self, name) for name in kept}, "seconds": self.seconds}
        return told | ({"trust": self.trust.to_json()} if self.trust else {})

    def save(self, file: str | Path) -> list[Path]:
        """Write the picture (.png), the raw map (.npz) and how it was made (.json); returns the files."""
        from featurelens.see.render.save import save

        arrays = {"values": self.values, "pixels": self.pixels}
        if self.channels is not None:
            arrays["channels"] = self.channels
        return save(Path(file), self.picture(), how=self.how(), arrays=arrays)

    def _repr_html_(self) -> str:
        from featurelens.see.render.inline import as_html

        return as_html(self.picture(), f"{self.method}: {self.target}")


def explain(
    backbone: Backbone,
    image: Source,
    *,
    method: str = "grad-cam",
    target: Any = None,
    check: bool = False,
    exact: bool = False,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    **options: Any,
) -> Explanation:
    """Where in the image the score comes from, by one of `featurelens.see.methods.METHODS`.

    `target`: None (the class that the network sees), a class number or ImageNet name, the pixels of another image (cosine
    similarity to it), a function of the outputs [image, n] -> [image], or a Target. `check` adds how far to
    trust the map (see `featurelens.see.trust`). `options` are the method's own: layer, baseline, steps,
    tolerance, max_steps, samples, noise, window, stride, seed, chunk. `exact` and `max_pixels`: as in `decode`. The
    network must run on torch (`engine="torch"`) and is afterwards bit for bit as before. Raises UnknownName,
    InvalidInput, LayerError, BackboneError, ImageError.

    >>> from featurelens import load_backbone  # doctest: +SKIP
    >>> explain(load_backbone("resnet18", engine="torch"), "cat.jpg").picture()  # doctest: +SKIP
    """
    reading = {"exact": exact, "max_pixels": max_pixels}
    return next(
        explain_many(backbone, [image], method=method, target=target, check=check, **reading, **options)
    )


def explain_many(
    backbone: Backbone,
    images: Sequence[Source],
    *,
    method: str = "grad-cam",
    target: Any = None,
    check: bool = False,
    exact: bool = False,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    **options: Any,
) -> Iterator[Explanation]:
    """`explain` for several images, one after the other: `chunk` at a time are decoded, passed and held in memory.

    `target` may also be one class number for each image. An image that cannot be read ends it with an
    ImageError that names it.

    >>> net = load_backbone("resnet18", engine="torch")  # doctest: +SKIP
    >>> for found in explain_many(net, ["cat.jpg", "dog.jpg"]):  # doctest: +SKIP
    ...     found.save(Path("maps", found.name).with_suffix(".png"))
    """
    refuse_single(images)
    network = with_gradients(backbone, method)
    chosen = settings(method, options)
    goal = to_target(target, network, images=len(images), max_pixels=max_pixels)
    fit, reading = network.spec.fit, {"exact": exact, "max_pixels": max_pixels}

    def groups() -> Iterator[Explanation]:
        for part in pieces(len(images), chosen["chunk"]):
            some = images[part]
            places = [f"images[{i}]" if len(images) > 1 else "" for i in range(part.start, part.stop)]
            pixels = np.stack(
                [read_pixels(one, fit, place=at, **reading) for one, at in zip(some, places, strict=True)]
            )
            asked = None if goal is None else goal.part(part)
            yield from _explained(network, some, pixels, method, asked, options, check=check)

    return groups()


def _explained(
    network: TorchBackbone,
    images: Sequence[Source],
    pixels: UInt8[np.ndarray, "image row col 3"],
    method: str,
    target: Target | None,
    options: Mapping[str, Any],
    *,
    check: bool,
) -> list[Explanation]:
    """A few images in the same passes; the network is back as it was before the first is handed out."""
    chosen, started = settings(method, options), time.perf_counter()
    with untouched(network.module):
        x01 = network.prepare(pixels)
        x = network.normalize(x01)
        goal = target or seen_class(network, x)
        quick = folded(network, x[:1]) if check or method in MANY_PASSES else network
        score = scorer(
            quick if method in MANY_PASSES else network, goal
        )  # layers are read from the network itself
        question = Question(network, x01, x, score)
        found = answer(method, question, options)
        values = scores(question.score, x, torch.arange(len(x), device=x.device), chunk=chosen["chunk"])
        _refuse_nonsense(found, network)
        seconds = (time.perf_counter() - started) / len(images)
        explained = [
            _explanation(i, network, method, goal, found, float(values[i]), images[i], pixels[i])
            for i in range(len(images))
        ]
        explained = [replace(e, settings=chosen, seconds=seconds) for e in explained]
        if check:
            from featurelens.see.trust import trust_of

            asked = replace(question, score=scorer(quick, goal))
            explained = [
                replace(e, trust=trust_of(asked, goal, i, e, options)) for i, e in enumerate(explained)
            ]
    return explained


def with_gradients(backbone: Backbone, method: str) -> TorchBackbone:
    """The backbone if it runs on torch; BackboneError, with what to do, if not."""
    if isinstance(backbone, TorchBackbone):
        return backbone
    raise BackboneError(
        f"'{backbone.spec.name}' runs on an engine without gradients and layers, which the method '{method}' needs. "
        "Load a timm or torchvision network with engine='torch' (on the command line: --backbone resnet18). "
        "Why two images match can be shown without torch: see.similarity, or 'featurelens explain A --against B'."
    )


def _explanation(
    i: int,
    network: TorchBackbone,
    method: str,
    goal: Target,
    found: Answer,
    score: float,
    image: Source,
    pixels: np.ndarray,
) -> Explanation:
    return Explanation(
        method=method,
        target=goal.name(i),
        backbone=network.spec.name,
        fingerprint=network.spec.fingerprint,
        pixels=pixels,
        values=found.maps[i].detach().float().cpu().numpy(),
        score=score,
        channels=None if found.channels is None else found.channels[i].detach().float().cpu().numpy(),
        layer=found.layer,
        facts=dict(found.facts[i]) if found.facts else {},
        name=image if isinstance(image, str) else str(image) if isinstance(image, Path) else "",
    )


def _refuse_nonsense(found: Answer, network: TorchBackbone) -> None:
    if not bool(torch.isfinite(found.maps).all()):
        raise InvalidInput(
            f"'{network.spec.name}' gave numbers that are not finite, so there is no map. Random weights, "
            "a half-precision network or a target that divides by zero do this."
        )
