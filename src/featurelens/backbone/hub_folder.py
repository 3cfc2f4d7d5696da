"""Some files of a repository of the hub as one folder: from the cache, else fetched after saying how much it is."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from featurelens.backbone import hub
from featurelens.backbone.request import Say
from featurelens.errors import BackboneError, MissingExtra

ONNX_LAYOUT = (
    "it is not in the hub's ONNX layout. Those of Xenova and onnx-community are, e.g. "
    "clip:Xenova/clip-vit-base-patch32."
)


def hub_files(
    repo: str,
    needed: Sequence[str],
    also: Sequence[str],
    *,
    name: str,
    say: Say,
    otherwise: str = ONNX_LAYOUT,
    extra: str = "clip",
) -> Path:
    """The folder with the files `needed`, and those of `also` that the repository has; `repo` may end in @REVISION.

    `otherwise` says what a repository without them is not, `extra` what installs the hub's client. Nothing is asked
    of the network where all that is needed lies in the hub's cache. Raises BackboneError, which says
    what is cached and what to do.
    """
    if importlib.util.find_spec("huggingface_hub") is None:
        raise MissingExtra("huggingface_hub", extra, f"Fetching '{name}' from the hub")
    here = [hub.cached_file(repo, one) for one in needed]
    if all(here):
        return _root(here[0], needed[0])
    plain, _, revision = repo.partition("@")
    hub.check_reachable(name)
    from huggingface_hub import HfApi, hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, RepositoryNotFoundError

    with hub.plain_errors(name):
        try:
            told: Any = HfApi().model_info(plain, revision=revision or None, files_metadata=True)
            sizes = {one.rfilename: one.size or 0 for one in told.siblings or []}
            if missing := [one for one in needed if one not in sizes]:
                raise BackboneError(f"The repository {plain} has no {' and no '.join(missing)}: {otherwise}")
            wanted = [one for one in (*needed, *also) if one in sizes]
            licence = getattr(told.card_data, "license", None) if told.card_data else None
            hub.announce(name, sum(sizes[one] for one in wanted) / 1e6, plain, licence, say)
            files = [
                hf_hub_download(plain, one, revision=told.sha, cache_dir=hub.hub_folder()) for one in wanted
            ]
            if told.sha:
                _name_revision(plain, revision or "main", told.sha)
            return _root(Path(files[0]), needed[0])
        except RepositoryNotFoundError as error:
            raise BackboneError(
                f"The hub has no repository {plain}, or shows it only to people who have logged in ('hf auth login')."
            ) from error
        except EntryNotFoundError as error:
            raise BackboneError(
                f"The repository {plain} lacks a file: {str(error).splitlines()[0]}"
            ) from error


def _root(file: Path | None, name: str) -> Path:
    assert file is not None
    return file.parents[len(Path(name).parts) - 1]


def _name_revision(repo: str, revision: str, commit: str) -> None:
    """Let the cache find these files by the name of the revision, as a download by name would."""
    refs = hub.hub_folder() / f"models--{repo.replace('/', '--')}" / "refs" / revision
    refs.parent.mkdir(parents=True, exist_ok=True)
    refs.write_text(commit)
