"""The gallery's network on torch, for gradients and layers, where that can be had."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from threading import Lock, Semaphore
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from featurelens.backbone.protocol import Backbone
from featurelens.errors import MissingExtra
from featurelens.web.problems import Problem, busy
from featurelens.web.shown import model_name

if TYPE_CHECKING:
    from featurelens.backbone.torch_backbone import TorchBackbone
    from featurelens.see.channel_maps import FeatureMaps
    from featurelens.web.service import Service

T = TypeVar("T")
METHODS = (
    "grad-cam",
    "layer-cam",
    "integrated-gradients",
    "saliency",
    "input-x-gradient",
    "smoothgrad",
    "occlusion",
    "attention-rollout",
    "attention-gradient",
)
_ATTENTION = ("attention-rollout", "attention-gradient")
_KEPT = 8
_MOST_WAIT = 8


def lab_is_there() -> bool:
    """Whether the extra `lab` is installed."""
    return find_spec("torch") is not None and find_spec("timm") is not None


def has_gradients(name: str) -> bool:
    """Whether a backbone of this name can run on torch, as far as its name tells."""
    scheme, colon, rest = name.partition(":")
    if not colon:
        return name != "embedded"
    if scheme == "bundle":
        return (Path(rest) / "model.safetensors").is_file()
    return scheme in ("timm", "torchvision", "local-dir")


def methods_of(service: Service) -> list[str]:
    """The methods that would run on this gallery's network here."""
    name = service.gallery.spec.name
    if not (lab_is_there() and has_gradients(name)):
        return []
    transformer = any(word in name.lower() for word in ("vit", "deit", "beit", "eva"))
    return [method for method in METHODS if transformer or method not in _ATTENTION]


def last_map(backbone: Backbone, pixels: np.ndarray) -> FeatureMaps:
    """The last map of a network that has no layers to be read, its channels strongest first (by spread)."""
    from featurelens.see.channel_maps import FeatureMaps

    maps = backbone.maps(pixels[None])[0]
    order = np.argsort(-np.maximum(maps, 0).std((1, 2)), kind="stable")
    return FeatureMaps("map", pixels, maps, tuple(order.tolist()), "spread", backbone.spec.name)


class Lab:
    """The network on torch, loaded when first needed; one caller at a time, the last few results are kept."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._network: TorchBackbone | None = None
        self._lock, self._waiting = Lock(), Semaphore(_MOST_WAIT)
        self._kept: OrderedDict[Any, Any] = OrderedDict()

    def use(self, key: Any, work: Callable[[TorchBackbone], T]) -> T:
        """What `work` makes of the network, or made of it before under this key.

        A 501 problem (field `extra`) without torch, 409 for a network that has no gradients, 429 if many wait.
        """
        with self._turn():
            if key not in self._kept:
                self._network = self._network or self.fresh()
                self._kept[key] = work(self._network)
                if len(self._kept) > _KEPT:
                    self._kept.popitem(last=False)
            self._kept.move_to_end(key)
            return self._kept[key]

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """One caller at a time; few may wait, or they would take the threads that answer searches."""
        if not self._waiting.acquire(blocking=False):
            raise busy("Many explanations are being made", 2)
        try:
            with self._lock:
                yield
        finally:
            self._waiting.release()

    def fresh(self) -> TorchBackbone:
        """The network loaded once more, for long work beside what the pages ask."""
        name = self._service.gallery.spec.name
        if not lab_is_there():
            raise MissingExtra("torch", "lab", "Looking inside a network")
        if not has_gradients(name):
            raise Problem(
                409,
                f"'{model_name(name)}' runs on an engine without gradients and layers. A gallery made with a timm or "
                "torchvision network shows them: featurelens index DIR --at OTHER --backbone resnet18.",
            )
        from featurelens.backbone import load_backbone
        from featurelens.see.explanation import with_gradients

        found = load_backbone(name, engine="torch", device=self._service.device, say=lambda text: None)
        self._service.gallery.settings.check(found.spec)
        return with_gradients(found, "any")
