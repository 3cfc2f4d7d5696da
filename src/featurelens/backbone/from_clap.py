"""`clap:REPO` and `clap:FOLDER`: sound and text in one space, by transformers' CLAP on torch (extra `sound`)."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from featurelens.backbone import hub
from featurelens.backbone.clap_backbone import ClapBackbone
from featurelens.backbone.hub_folder import hub_files
from featurelens.backbone.licence import licence_of
from featurelens.backbone.protocol import Spec
from featurelens.backbone.request import Request, free_cores
from featurelens.errors import BackboneError, MissingExtra

WEIGHTS = "model.safetensors"
NEEDED = ("config.json", "preprocessor_config.json", "tokenizer.json", WEIGHTS)
ALSO = ("tokenizer_config.json", "special_tokens_map.json", "README.md")
MOST = 60  # windows of one sound: ten minutes without a gap
_EXAMPLE = "clap:laion/clap-htsat-unfused"
_LAYOUT = (
    f"it is no CLAP with safetensors. Some have them on a branch of the hub's conversion bot (REPO@refs/pr/N); {_EXAMPLE} "
    "is an example of the files."
)


def load(request: Request) -> ClapBackbone:
    """The network of a folder, or of a repository of the hub, which is fetched once and told before.

    Raises BackboneError for what is no such folder or cannot be had; MissingExtra without torch, transformers, ...
    """
    request.refuse(
        "A clap: backbone",
        size=request.size, weights=request.weights, mean=request.mean, std=request.std,
    )  # fmt: skip
    if request.engine == "openvino":
        raise BackboneError("A clap: backbone runs on torch; leave engine='openvino' out.")
    for package in ("torch", "transformers", "soundfile", "soxr"):
        if importlib.util.find_spec(package) is None:
            raise MissingExtra(package, "sound", f"The network '{request.name}'")
    needed = NEEDED if request.pretrained else NEEDED[:-1]
    folder, name = Path(request.rest).expanduser(), request.name
    if folder.is_dir():
        folder = folder.resolve()
        name = f"clap:{folder}"  # a gallery keeps the name, and is opened anywhere
    elif folder.is_absolute() or request.rest.startswith((".", "~")):
        raise BackboneError(
            f"There is no folder {folder}. Give a folder of CLAP's, or a repository: {_EXAMPLE}."
        )
    else:
        folder = hub_files(
            request.rest, needed, ALSO, name=name, say=request.say, otherwise=_LAYOUT, extra="sound"
        )
    if missing := [one for one in needed if not (folder / one).is_file()]:
        raise BackboneError(
            f"{folder} holds no {' and no '.join(missing)}. A clap: folder is as transformers saves it (save_pretrained "
            f"of ClapModel and ClapProcessor): {', '.join(NEEDED)}."
        )
    return _open(folder, name, request)


def _open(folder: Path, name: str, request: Request) -> ClapBackbone:
    import torch
    from transformers import AutoTokenizer, ClapFeatureExtractor

    from featurelens.backbone.torch_backbone import pick_device

    torch.set_num_threads(request.threads or min(torch.get_num_threads(), free_cores()))
    with _quiet(), hub.plain_errors(name):
        try:
            model = _model(folder, pretrained=request.pretrained)
            hearing = ClapFeatureExtractor.from_pretrained(folder, local_files_only=True)
            tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        except (RuntimeError, ValueError, KeyError, TypeError, AttributeError) as error:
            if "ignore_mismatched_sizes" in str(error):
                raise BackboneError(
                    f"The weights in {folder} do not fit its config.json. They belong to another network."
                ) from error
            raise BackboneError(
                f"The files of {folder} are not understood: {' '.join(str(error).split())[:300]}. Expected are those of "
                f"a CLAP as transformers saves it ({_EXAMPLE} is one)."
            ) from error
    context = (
        int(model.config.text_config.max_position_embeddings) - 2
    )  # two places are before the first token
    spec = Spec(
        name=name,
        weights=_digest(model, folder),
        dim=int(model.config.projection_dim),
        licence=licence_of(folder),
        text=True,
        modality="sound",
        reading={
            "rate": int(hearing.sampling_rate),
            "seconds": float(hearing.max_length_s),
            "most": MOST,
            "fill": str(hearing.padding),
        },
    )
    return ClapBackbone(model, hearing, tokenizer, spec, context=context, device=pick_device(request.device))


def _model(folder: Path, *, pretrained: bool) -> Any:
    import torch
    from transformers import ClapConfig, ClapModel

    if not pretrained:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return ClapModel(ClapConfig.from_pretrained(folder, local_files_only=True)).eval()
    found: Any = ClapModel.from_pretrained(
        folder, local_files_only=True, use_safetensors=True, output_loading_info=True, dtype=torch.float32
    )
    model, told = found
    lost = [*told["missing_keys"], *(str(one[0]) for one in told["mismatched_keys"])]
    if lost:
        raise BackboneError(
            f"The weights in {folder} do not fit its config.json: {len(lost)} are missing or of another shape, e.g. "
            f"{', '.join(sorted(lost)[:3])}. They belong to another network."
        )
    return model.eval()


def _digest(model: Any, folder: Path) -> str:
    """Of all that decides a vector: weights, how sounds are prepared, the tokenizer."""
    from featurelens.backbone.weights import weights_hash

    told = [json.loads((folder / name).read_text(encoding="utf-8")) for name in NEEDED[:2]]
    told[0].pop("transformers_version", None)
    identity = hashlib.sha256(json.dumps(told, sort_keys=True).encode())
    identity.update((folder / "tokenizer.json").read_bytes())
    return weights_hash(model, identity.hexdigest())


@contextmanager
def _quiet() -> Iterator[None]:
    """transformers' bars and warnings stay away from the user while it loads; its settings are put back."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
