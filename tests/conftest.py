"""Shapes are checked in the tests only: the compute rooms are imported under jaxtyping and beartype."""

from __future__ import annotations

from pathlib import Path

import pytest
from jaxtyping import install_import_hook

import fixtures.checked  # noqa: F401 (the hook takes it by its name)

_ROOMS = (
    "images",
    "sounds",
    "backbone",
    "features",
    "see",
    "assess",
    "adapt",
    "nn",
    "search",
    "export",
    "scale",
)
_hook = install_import_hook([f"featurelens.{room}" for room in _ROOMS], "fixtures.checked.checked")

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real photos, hostile files and real weights beside the checkout; skips without it."""
    if not SHARED.is_dir():
        pytest.skip(f"needs the real photos and weights in {SHARED}, which a user's clone does not have")
    return SHARED


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory):
    """An untrained CLIP in the hub's ONNX layout, and the torch towers that it was made from."""
    pytest.importorskip("open_clip", reason="the towers are made with open_clip (extra text)")
    from fixtures.clip_nets import clip_folder

    return clip_folder(tmp_path_factory.mktemp("towers") / "clip")


@pytest.fixture(scope="session")
def siglip(tmp_path_factory: pytest.TempPathFactory):
    """The same for SigLIP: other names of outputs, another filling, another resize rule."""
    pytest.importorskip("open_clip", reason="the towers are made with open_clip (extra text)")
    from fixtures.clip_nets import siglip_folder

    return siglip_folder(tmp_path_factory.mktemp("towers") / "siglip")


@pytest.fixture(scope="session")
def clap(tmp_path_factory: pytest.TempPathFactory):
    """An untrained CLAP as the hub keeps it, and transformers' own model and processor of it."""
    for package in ("transformers", "soundfile", "soxr"):
        pytest.importorskip(package, reason="reads and embeds sounds (extra sound)")
    from fixtures.clap_nets import clap_folder

    return clap_folder(tmp_path_factory.mktemp("hearing") / "clap")
