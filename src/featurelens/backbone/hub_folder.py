"""Some files of a repository of the hub as one folder: from the cache, else fetched after saying how much it is."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from featurelens.backbone import hub
from featurelens.backbone.onnx_files import named
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

    Files that hold weights of an ONNX graph come with it: their names stand in the graph, so their size is said then.
    `otherwise` says what a repository without them is not, `extra` what installs the hub's client. Nothing is asked
    of the network where all that is needed lies in the hub's cache. Raises BackboneError, which says
    what is cached and what to do.
    """
    if importlib.util.find_spec("huggingface_hub") is None:
        raise MissingExtra("huggingface_hub", extra, f"Fetching '{name}' from the hub")
    here = [hub.cached_file(repo, one) for one in needed]
    known = [file for file in here if file is not None]
    lacking = [side for file in known for side in _sides(file) if not (file.parent / side).is_file()]
    if len(known) == len(needed) and not lacking:  # a download may have been stopped in between
        return _root(known[0], needed[0])
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

            def fetched(names: Iterable[str]) -> dict[str, Path]:
                return {
                    one: Path(hf_hub_download(plain, one, revision=told.sha, cache_dir=hub.hub_folder()))
                    for one in names
                }

            files = fetched(wanted)
            sides = {
                (PurePosixPath(one).parent / side).as_posix() for one in wanted for side in _sides(files[one])
            }
            if lacking := sorted((sides & sizes.keys()) - files.keys()):
                hub.announce(name, sum(sizes[one] for one in lacking) / 1e6, plain, licence, say)
                fetched(lacking)
            if told.sha:
                _name_revision(plain, revision or "main", told.sha)
            return _root(files[needed[0]], needed[0])
        except RepositoryNotFoundError as error:
            raise BackboneError(
                f"The hub has no repository {plain}, or shows it only to people who have logged in ('hf auth login')."
            ) from error
        except EntryNotFoundError as error:
            raise BackboneError(
                f"The repository {plain} lacks a file: {str(error).splitlines()[0]}"
            ) from error


def _sides(file: Path) -> list[str]:
    return named(file) if file.suffix == ".onnx" else []


def _root(file: Path, name: str) -> Path:
    return file.parents[len(Path(name).parts) - 1]


def _name_revision(repo: str, revision: str, commit: str) -> None:
    """Let the cache find these files by the name of the revision, as a download by name would."""
    refs = hub.hub_folder() / f"models--{repo.replace('/', '--')}" / "refs" / revision
    refs.parent.mkdir(parents=True, exist_ok=True)
    refs.write_text(commit)
