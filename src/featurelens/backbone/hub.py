"""Downloads from model hubs: what is said before, and what an error means in plain words."""

from __future__ import annotations

import json
import os
import pickle
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from featurelens.backbone.request import Say
from featurelens.errors import BackboneError

_PATIENCE = 5.0  # seconds to wait for a first sign of the hub; its client alone would retry for a minute


def hub_folder() -> Path:
    """Where the hub's client keeps downloads (HF_HUB_CACHE, HF_HOME, XDG_CACHE_HOME)."""
    own = os.environ.get("HF_HUB_CACHE")
    if own:
        return Path(own).expanduser()
    caches = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(os.environ.get("HF_HOME") or f"{caches}/huggingface").expanduser() / "hub"


def cached_file(repo: str | None, name: str | None = None) -> Path | None:
    """The weights of a hub repository that lie on this machine, safetensors first; None if they do not."""
    if not repo:
        return None
    from huggingface_hub import try_to_load_from_cache

    plain, _, revision = repo.partition("@")
    for wanted in (name,) if name else ("model.safetensors", "pytorch_model.bin"):
        found = try_to_load_from_cache(plain, wanted, cache_dir=hub_folder(), revision=revision or None)
        if isinstance(found, str):
            return Path(found)
    return None


def cached_networks() -> list[str]:
    """The model repositories that lie on this machine."""
    found = {f.parts[-4] for f in hub_folder().glob("models--*/snapshots/*/*")}
    return sorted(name.removeprefix("models--").replace("--", "/") for name in found)


def offline() -> bool:
    """Whether HF_HUB_OFFLINE asks for no network."""
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE")


def announce(name: str, megabytes: float | None, source: str, licence: str | None, say: Say) -> None:
    """Say name, size and licence before a download."""
    size = "size not known" if megabytes is None else f"about {megabytes:,.0f} MB"
    say(f"Downloading {name}: {size} from {source}; licence {licence or 'not stated'}.")


def check_reachable(name: str) -> None:
    """BackboneError at once where no download can work: HF_HUB_OFFLINE, or no way to the hub's server."""
    if offline():
        raise BackboneError(_advice(name, "nothing was tried"))
    if any(os.environ.get(key) for key in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")):
        return
    from huggingface_hub.constants import ENDPOINT

    server = urlsplit(ENDPOINT)
    try:
        port = server.port or (80 if server.scheme == "http" else 443)
        socket.create_connection((server.hostname or "", port), timeout=_PATIENCE).close()
    except OSError as error:
        raise BackboneError(_advice(name, str(error))) from error


@contextmanager
def plain_errors(name: str) -> Iterator[None]:
    """Errors of reading or downloading weights become a BackboneError: what happened, what to do."""
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, HFValidationError
    from safetensors import SafetensorError

    try:
        yield
    except GatedRepoError as error:
        raise BackboneError(
            f"The weights of '{name}' are given only to people who accepted their licence: do so on the hub's "
            "page of that model, then log in with 'hf auth login' or set HF_TOKEN."
        ) from error
    except (HfHubHTTPError, HFValidationError, OSError) as error:
        raise BackboneError(_advice(name, f"{type(error).__name__}: {_first_line(error)}")) from error
    except json.JSONDecodeError as error:
        raise BackboneError(f"The config.json of '{name}' is damaged: {error}. Copy it again.") from error
    except (SafetensorError, pickle.UnpicklingError) as error:
        raise BackboneError(
            f"The weights of '{name}' are damaged, or hold more than weights and are refused: "
            f"{_first_line(error)}. Copy or download them again."
        ) from error
    except RuntimeError as error:
        text = _first_line(error)
        if "weights_only=True blocked" in text:
            raise BackboneError(
                f"The weights of '{name}' are refused: they hold more than weights, and opening them could run code "
                f"of whoever made them ({text[:120]}). Where you trust them, save them as model.safetensors."
            ) from error
        if "Unknown model" in text:
            raise BackboneError(
                f"'{name}' names an architecture that the installed timm does not have: {text}. Check config.json, or "
                "upgrade timm."
            ) from error
        if "No pretrained weights" in text:
            raise BackboneError(
                f"There are no trained weights for '{name}'. Choose one of 'featurelens models', give weights=FILE, "
                "or take random weights with pretrained=False."
            ) from error
        if "No suitable checkpoints" in text:
            raise BackboneError(
                f"There are no weights in '{name}'. Copy its model.safetensors there, give weights=FILE, or take random "
                "weights with pretrained=False."
            ) from error
        if "Error(s) in loading" in text or "size mismatch" in str(error):
            raise BackboneError(f"The weights of '{name}' do not fit the network: {_flat(error)}") from error
        if "client has been closed" in text or "invalid hash" in text:
            raise BackboneError(_advice(name, text)) from error
        raise


def _advice(name: str, what: str) -> str:
    state = "HF_HUB_OFFLINE is set, so nothing is downloaded" if offline() else "they could not be downloaded"
    cached = cached_networks()
    here = f"On this machine are: {', '.join(cached[:8])}" if cached else f"Nothing lies in {hub_folder()}"
    return (
        f"The weights of '{name}' are not here, and {state} ({what}). {here}. Get them where there is a network "
        f"('featurelens models pull {name}') and copy that folder, or set HF_HOME to a copy; or use {_other(name)}, or "
        "the embedded backbone, which needs no download."
    )


def _other(name: str) -> str:
    scheme = name.partition(":")[0]
    return f"{scheme}:FOLDER" if scheme in ("clip", "openclip") else "local-dir:FOLDER, weights=FILE"


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


def _flat(error: BaseException) -> str:
    return " ".join(str(error).split())[:400]
