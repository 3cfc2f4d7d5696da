"""The check that what is frozen has not changed by a single bit."""

from __future__ import annotations

import hashlib

from torch import nn

from featurelens.adapt.plan import frozen_state
from featurelens.backbone.weights import bytes_of
from featurelens.errors import FeaturelensError


class FrozenChanged(FeaturelensError):
    """Something that the plan freezes was changed by the training."""


def fingerprints(module: nn.Module) -> dict[str, str]:
    """A digest of every frozen parameter and buffer."""
    return {
        name: hashlib.blake2b(bytes_of(tensor), digest_size=16).hexdigest()
        for name, tensor in frozen_state(module).items()
    }


def check_unchanged(before: dict[str, str], module: nn.Module) -> int:
    """Compare with earlier `fingerprints`, bit for bit, and return how many tensors agree; else FrozenChanged."""
    now = fingerprints(module)
    changed = [name for name in before if now.get(name) != before[name]]
    if changed:
        raise FrozenChanged(
            f"{len(changed)} frozen tensors changed during the epoch: {', '.join(changed[:5])}. The plan did not "
            "hold, so the result is not kept. This is a fault of featurelens or of the network's own code (one "
            "that writes into its weights in its forward pass); please report it with the network's name."
        )
    return len(before)
