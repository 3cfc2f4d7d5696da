"""All methods that apply run on sixty networks of different families, and leave them as they were."""

from __future__ import annotations

import hashlib
import warnings

import numpy as np
import pytest
import torch

from featurelens import load_backbone, see
from featurelens.backbone.torch_backbone import TorchBackbone
from featurelens.errors import FeaturelensError, LayerError
from featurelens.see.methods import METHODS
from fixtures.sixty_networks import NETWORKS

QUICK = {
    "integrated-gradients": {"steps": 1, "max_steps": 1},
    "smoothgrad": {"samples": 1},
}
ONLY_TRANSFORMERS = ("attention-rollout", "attention-gradient")


def weights_and_buffers(net: torch.nn.Module) -> str:
    digest = hashlib.blake2b()
    for name, tensor in sorted(net.state_dict(keep_vars=True).items()):
        digest.update(f"{name}{tensor.requires_grad}{tensor.grad is None}".encode())
        digest.update(tensor.detach().reshape(-1).numpy().tobytes())
    hooks = sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in net.modules())
    return f"{digest.hexdigest()} {hooks} {[m.training for m in net.modules()]}"


def failures(name: str, size: int | None) -> list[str]:
    """What did not run, or gave no proper map, or changed the network."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        net = load_backbone(name, engine="torch", device="cpu", pretrained=False, size=size)
    assert isinstance(net, TorchBackbone)
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for part in net.module.modules():  # untrained heads of zeros would explain nothing
            if isinstance(part, torch.nn.Linear) and part.out_features == 1000 and not part.weight.any():
                part.weight.normal_(0, 0.02)
    before, fit = weights_and_buffers(net.module), net.spec.fit
    image = np.random.default_rng(0).integers(0, 256, (fit.rows, fit.cols, 3), dtype=np.uint8)
    target = (
        7 if net.module.num_classes else image[::-1].copy()
    )  # without classes: what makes it like another
    found = []
    for method in METHODS:
        try:
            options = {"window": fit.rows // 2, "stride": fit.rows // 2} if method == "occlusion" else {}
            map_ = see.explain(net, image, method=method, target=target, **QUICK.get(method, options))
        except LayerError as error:
            if method not in ONLY_TRANSFORMERS or "attention" not in str(error):
                found.append(f"{method}: {error}")
            continue
        except (FeaturelensError, RuntimeError, TypeError) as error:
            found.append(f"{method}: {type(error).__name__}: {error}")
            continue
        if min(map_.values.shape) < 2 or not np.isfinite(map_.values).all() or not map_.values.any():
            found.append(f"{method}: an empty map of {map_.values.shape}")
    if weights_and_buffers(net.module) != before:
        found.append("the network is not as it was")
    return found


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_at_least_95_per_cent_of_sixty_networks() -> None:
    assert len(NETWORKS) >= 60
    failed = {name: found for name, size in NETWORKS.items() if (found := failures(name, size))}
    for name, found in failed.items():
        print(name, *found, sep="\n  ")
    assert len(failed) <= 0.05 * len(NETWORKS), failed
