"""The backbone that a pretraining run has made, in memory or as a bundle."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from featurelens.adapt import embedded
from featurelens.adapt.chance import own_chance
from featurelens.adapt.checkpoints import read_pretrained
from featurelens.adapt.learner import Learner
from featurelens.adapt.recipe import Recipe, make_recipe
from featurelens.adapt.recover import ARCHITECTURE, OPTIONS
from featurelens.backbone import load_backbone
from featurelens.backbone.timm_folder import write_timm_folder
from featurelens.backbone.torch_backbone import TorchBackbone
from featurelens.errors import BackboneError
from featurelens.nn.descriptor import Descriptor


def pretrained(checkpoint: Path, *, images: Tensor | None = None) -> TorchBackbone:
    """The averaged network of `checkpoint.pt` as a Backbone.

    Where the recipe's result is "descriptor", the hand-made branches join it, fitted on procedural pairs or,
    with `images` (uint8 `[image, 3, row, col]`), on pairs of augmented views of these. Raises BackboneError for a
    damaged file.
    """
    state = read_pretrained(checkpoint)
    recipe = make_recipe(state["recipe"])
    if recipe.result == "network":
        return network(recipe, state)
    descriptor = embedded.assemble(state)
    embedded.fit(descriptor, *embedded.fit_views(images))
    return embedded.as_backbone(descriptor, name=f"pretrained {recipe.name}")


def write(checkpoint: Path, folder: Path, *, images: Tensor | None = None) -> TorchBackbone:
    """The bundle of `pretrained`; it loads as `bundle:DIR`, and a bare network with engine="torch" too."""
    return _write(pretrained(checkpoint, images=images), folder)


def check_export(
    recipe: Recipe, prepare: Callable[[Learner], object], *, say: Callable[[str], None] = print
) -> None:
    """Export the untrained network, to nowhere, so that what stops it is told before the training and not after.

    `prepare` is that of the start. The embedded backbone's own network is not tried: the package holds it, exported.
    Raises BackboneError.
    """
    if (recipe.result, recipe.architecture, recipe.options) == ("descriptor", ARCHITECTURE, OPTIONS):
        return
    say("trying the export with the untrained network")
    with own_chance("cpu"):
        learner = Learner(recipe)
        prepare(learner)
    state = {"recipe": recipe.to_json(), "average": learner.eval().state_dict()}
    if recipe.result == "network":
        backbone = network(recipe, state)
    else:
        descriptor = embedded.assemble(state)
        embedded.fill(descriptor)
        backbone = embedded.as_backbone(descriptor)
    with tempfile.TemporaryDirectory() as folder:
        _write(backbone, Path(folder) / "bundle")


def _write(backbone: TorchBackbone, folder: Path) -> TorchBackbone:
    from featurelens.backbone.to_onnx import export_bundle

    if isinstance(backbone.module, Descriptor):
        return embedded.write_embedded(backbone.module, folder, name=backbone.spec.name)
    export_bundle(backbone, folder)
    write_timm_folder(backbone.module, folder)
    return backbone


def network(recipe: Recipe, state: dict[str, Any]) -> TorchBackbone:
    """The timm network of a checkpoint, without a classifier, as it will load from a folder in timm's format."""
    import timm

    size = recipe.input or recipe.phases[-1][1]
    module: Any = timm.create_model(recipe.architecture, num_classes=0, **recipe.options)
    own = {n.removeprefix("encoder."): t for n, t in state["average"].items() if n.startswith("encoder.")}
    try:
        module.load_state_dict(own)
    except RuntimeError as error:
        raise BackboneError(f"The checkpoint does not fit '{recipe.architecture}': {error}") from error
    config = {"input_size": (3, size, size), "mean": recipe.mean, "std": recipe.std, "crop_pct": 1.0}
    config |= {"test_input_size": None, "test_crop_pct": None, "label": None, "license": "your own"}
    module.pretrained_cfg = {**(module.pretrained_cfg or {}), "architecture": recipe.architecture, **config}
    with tempfile.TemporaryDirectory() as folder:
        write_timm_folder(module, Path(folder))
        loaded = load_backbone(f"local-dir:{folder}", engine="torch", device="cpu")
    assert isinstance(loaded, TorchBackbone)
    loaded.spec = replace(loaded.spec, name=f"pretrained {recipe.architecture}")
    return loaded
