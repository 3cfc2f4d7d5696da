"""Downloads from model hubs: what is said before, and what an error means in plain words."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from featurelens.backbone.request import Say
from featurelens.errors import BackboneError


def announce(name: str, say: Say) -> None:
    """Say name, size and licence before timm downloads the weights of `name`; nothing if they are cached."""
    import timm
    import torch

    config = timm.get_pretrained_cfg(name)
    if config is None or is_cached(config.hf_hub_id):
        return
    with torch.device("meta"):
        module = timm.create_model(name)
    size = sum(p.numel() * p.element_size() for p in module.parameters()) / 1e6
    source = config.hf_hub_id or config.url or "its publisher"
    say(f"Downloading {name}: about {size:,.0f} MB from {source}; licence {config.license or 'not stated'}.")


def is_cached(repo: str | None) -> bool:
    """Whether the hub's local cache holds the weights of a repository."""
    if not repo:
        return False
    from huggingface_hub import try_to_load_from_cache

    names = ("model.safetensors", "pytorch_model.bin")
    return any(isinstance(try_to_load_from_cache(repo, name), str) for name in names)


def cached_networks() -> list[str]:
    """The repositories in the hub's local cache."""
    from huggingface_hub import CacheNotFound, scan_cache_dir

    try:
        return sorted(repo.repo_id for repo in scan_cache_dir().repos if repo.repo_type == "model")
    except CacheNotFound:
        return []


def offline() -> bool:
    """Whether HF_HUB_OFFLINE asks for no network."""
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE")


@contextmanager
def plain_errors(name: str) -> Iterator[None]:
    """Errors of a download become a BackboneError: is this machine offline, what is cached, what to do."""
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:
        yield
    except FileNotFoundError as error:
        raise BackboneError(_advice(name, str(error).splitlines()[0] if str(error) else "not found")) from error
    except (HfHubHTTPError, HFValidationError, OSError) as error:
        raise BackboneError(_advice(name, f"{type(error).__name__}: {str(error).splitlines()[0]}")) from error
    except RuntimeError as error:
        text = str(error).splitlines()[0] if str(error) else type(error).__name__
        if "No pretrained weights" in text:
            raise BackboneError(
                f"timm has no trained weights for '{name}'. Choose one of 'featurelens models', pass weights=FILE, "
                "or take random weights with pretrained=False."
            ) from error
        if "client has been closed" in text or "Error(s) in loading" in text:
            raise BackboneError(_advice(name, text)) from error
        raise


def _advice(name: str, what: str) -> str:
    state = "HF_HUB_OFFLINE is set, so nothing is downloaded" if offline() else "the hub could not be reached"
    cached = cached_networks()
    here = f"On this machine are: {', '.join(cached[:8])}" if cached else "No network is cached on this machine"
    return (
        f"The weights of '{name}' are not here, and {state} ({what}). {here}. Download them where there is a "
        "network and set HF_HOME to that cache, copy them and use local-dir:PATH, or use the embedded backbone."
    )
