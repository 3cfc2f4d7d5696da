"""What fine-tuning gives: a backbone again, and all that tells how it came about."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from featurelens.adapt.classifier import Classifier
from featurelens.adapt.plan import Plan
from featurelens.adapt.scores import Scores
from featurelens.adapt.training import Epoch
from featurelens.adapt.tuning import Tuning
from featurelens.backbone.torch_backbone import TorchBackbone
from featurelens.features.sources import sources
from featurelens.images.decode import decode
from featurelens.shapes import Float32


@dataclass(frozen=True, eq=False)
class Tuned:
    """The tuned network with its class names, and what it scored on the images in `test` (none of them taught).

    `head` are the scores of the head alone on frozen features, before the network itself learnt (for the plan
    frozen the same as `scores`). `source` names the backbone that it was made from.
    """

    classifier: Classifier
    classes: tuple[str, ...]
    plan: Plan
    tuning: Tuning
    history: tuple[Epoch, ...]
    scores: Scores | None
    head: Scores | None
    logits: Float32[np.ndarray, "test target"]
    teach: tuple[str, ...]
    test: tuple[str, ...]
    test_codes: tuple[int, ...]
    rule: str
    skipped: tuple[tuple[str, str], ...]
    unlabelled: int
    source: str

    @property
    def backbone(self) -> TorchBackbone:
        """The tuned network as a Backbone: it indexes, explains, assesses and exports."""
        return self.classifier.backbone

    @property
    def untested(self) -> tuple[str, ...]:
        """The classes that no test image has: the scores say nothing about them."""
        tested = set(self.test_codes)
        return tuple(name for code, name in enumerate(self.classes) if code not in tested)

    @torch.inference_mode()
    def predict(self, images: Any) -> Float32[np.ndarray, "image target"]:
        """Class probabilities of what `extract` takes, in its order; ImageError names what cannot be read."""
        net = self.backbone
        rows = []
        for one in sources(images, None, stamped=False):
            pixels = decode(one.image, fit=net.spec.fit).pixels[None]
            logits = self.classifier.logits(net.normalize(net.prepare(pixels)))
            rows.append(logits.float().softmax(1).cpu().numpy()[0])
        return np.stack(rows) if rows else np.empty((0, len(self.classes)), np.float32)

    def save(self, folder: str | Path) -> Path:
        """Write the result folder (see `save_tuned`) and return the bundle in it, for `bundle:DIR`."""
        from featurelens.adapt.save_tuned import save_tuned

        return save_tuned(self, Path(folder))
