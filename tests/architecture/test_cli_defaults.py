"""Every option has the default that its Python function has."""

from __future__ import annotations

import inspect
from collections.abc import Callable

import pytest

from featurelens import see
from featurelens.adapt.concepts import find_concepts
from featurelens.adapt.contrastive import pretrain as train_unlabelled
from featurelens.adapt.domain import Adapting
from featurelens.adapt.fused_backbone import fuse_backbones
from featurelens.adapt.tuning import Tuning
from featurelens.assess import choose, write_report
from featurelens.backbone import load_backbone
from featurelens.cli.adapt import adapt
from featurelens.cli.assess import assess
from featurelens.cli.concepts import concepts
from featurelens.cli.duplicates import duplicates
from featurelens.cli.explain import explain
from featurelens.cli.export import export
from featurelens.cli.extract import extract
from featurelens.cli.index import index
from featurelens.cli.label import label
from featurelens.cli.layers import layers
from featurelens.cli.maps import maps
from featurelens.cli.pretrain import pretrain
from featurelens.cli.search import search
from featurelens.cli.serve import serve
from featurelens.cli.tune import tune
from featurelens.cli.units import units
from featurelens.cli.visualize import visualize
from featurelens.export import export as export_files
from featurelens.features import extract as extract_features
from featurelens.search import Gallery, find_duplicates, label_images
from featurelens.web.app import make_app
from featurelens.web.limits import Limits

PAIRS: list[tuple[Callable[..., object], Callable[..., object]]] = [
    (index, Gallery.create),
    (index, Gallery.update),
    (index, load_backbone),
    (search, Gallery.search),
    (duplicates, find_duplicates),
    (label, label_images),
    (serve, make_app),
    (serve, Limits),
    (layers, load_backbone),
    (explain, load_backbone),
    (explain, see.explain),
    (maps, see.feature_maps),
    (maps, see.FeatureMaps.sheet),
    (maps, see.hierarchy),
    (visualize, see.maximize),
    (units, see.units),
    (units, see.write_pages),
    (concepts, find_concepts),
    (assess, choose),
    (assess, write_report),
    (export, export_files),
    (extract, extract_features),
    (extract, fuse_backbones),
    (pretrain, train_unlabelled),
    (tune, Tuning),
    (tune, load_backbone),
    (adapt, Adapting),
    (adapt, load_backbone),
]
# A gallery remembers its backbone, so the command's own default is "the gallery's".
# The method of `explain` is "similarity" where another image is given.
DIFFERS_ON_PURPOSE = {
    ("index", "backbone"),
    ("index", "images"),
    ("search", "query"),
    ("explain", "method"),
} | {
    ("assess", name)
    for name in ("backbones", "layers", "pooling")  # texts with commas there, sequences here
}


# The see commands name a network that their functions are given loaded; its layer and image are arguments there.
DIFFERS_ON_PURPOSE |= {
    (c, o)
    for c in ("layers", "explain", "maps", "visualize", "units")
    for o in ("backbone", "image", "layer")
}
# A text with commas there; a recipe already read and a device already picked here.
DIFFERS_ON_PURPOSE |= {("extract", "layers"), ("pretrain", "recipe"), ("pretrain", "device")}
# A folder there, an opened gallery here; a text with commas there, or a file.
DIFFERS_ON_PURPOSE |= {("duplicates", "gallery"), ("label", "gallery"), ("label", "labels")}
DIFFERS_ON_PURPOSE |= {("visualize", "objectives"), ("units", "images"), ("units", "layers")}


@pytest.mark.parametrize(("command", "function"), PAIRS, ids=lambda f: getattr(f, "__qualname__", ""))
def test_defaults_agree(command: Callable[..., object], function: Callable[..., object]) -> None:
    of_command = inspect.signature(command).parameters
    of_function = inspect.signature(function).parameters
    shared = [
        name
        for name in of_command
        if name in of_function and (command.__name__, name) not in DIFFERS_ON_PURPOSE
    ]
    assert shared or function is load_backbone, "the command and its function share no option"
    for name in shared:
        assert of_command[name].default == of_function[name].default, name
