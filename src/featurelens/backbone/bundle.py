"""A backbone as a folder: `model.onnx` (outputs embedding and map), `spec.json`, optionally `model.safetensors`."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from featurelens.backbone.openvino_backbone import OpenVINOBackbone
from featurelens.backbone.protocol import Spec
from featurelens.durable import write_folder
from featurelens.errors import BackboneError

FORMAT = "featurelens-bundle/1"
MODEL, SPEC, WEIGHTS = "model.onnx", "spec.json", "model.safetensors"


@dataclass(frozen=True)
class Bundle:
    """What a bundle's `spec.json` says: the backbone's spec and how it was made (source, parity figures)."""

    folder: Path
    spec: Spec
    made: Mapping[str, Any]


def open_bundle(folder: Path, *, threads: int | None = None, name: str | None = None) -> OpenVINOBackbone:
    """The backbone in a bundle folder, under the name that the user typed; it needs no torch.

    Raises BackboneError if the folder is no bundle, or not a whole one.

    >>> net = open_bundle(Path("my-bundle"))  # doctest: +SKIP
    """
    spec = replace(read_bundle(folder).spec, text=False)  # of two towers a bundle holds that of the images
    if name is not None:
        spec = replace(spec, name=name)
    outputs = (0, 1 if spec.map_channels else None)
    return OpenVINOBackbone(folder / MODEL, spec, outputs=outputs, threads=threads)


def read_spec(folder: Path) -> Spec:
    """The spec of a bundle, without loading its network."""
    return read_bundle(folder).spec


def read_bundle(folder: Path) -> Bundle:
    """What lies in a bundle folder; BackboneError says what is missing, cut off or not understood."""
    missing = [name for name in (MODEL, SPEC) if not (folder / name).is_file()]
    if missing:
        what = f"it holds no {' and no '.join(missing)}" if folder.is_dir() else "there is no such folder"
        raise BackboneError(
            f"{folder} is not a bundle: {what}. A bundle is made by 'featurelens export', or by "
            "load_backbone in the cache."
        )
    try:
        text = json.loads((folder / SPEC).read_text(encoding="utf-8"))
        if "format" not in text and "dim" in text:  # a spec alone, written by hand
            text = {"format": FORMAT, "spec": text, "files": {}}
        if text["format"] != FORMAT:
            raise BackboneError(
                f"{folder / SPEC} is in the format '{text['format']}'; this version of featurelens reads "
                f"'{FORMAT}'. Make the bundle again with this version."
            )
        spec = Spec.from_json(text["spec"])
        if not (len(spec.mean) == len(spec.std) == 3 and min(spec.std) > 0):
            raise ValueError(
                f"mean {spec.mean} and std {spec.std} must be three numbers, those of std above 0"
            )
        sizes = {str(name): int(size) for name, size in text["files"].items()}
        made = dict(text.get("made", {}))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BackboneError(f"{folder / SPEC} is damaged: {error!r}. Make the bundle again.") from error
    for name, size in sizes.items():
        file = folder / name
        found = file.stat().st_size if file.is_file() else None
        if found != size:
            state = "is missing" if found is None else f"has {found:,} bytes instead of {size:,}"
            raise BackboneError(f"The bundle {folder} is not whole: {name} {state}. Copy or make it again.")
    return Bundle(folder, spec, made)


def write_bundle(
    folder: Path,
    spec: Spec,
    write_model: Callable[[Path], object],
    *,
    write_weights: Callable[[Path], object] | None = None,
    made: Mapping[str, Any] | None = None,
    replace_whole: bool = True,
) -> None:
    """Make a bundle in a temporary folder beside `folder` and rename it: it is whole or not there.

    `write_model` gets the path of the ONNX file to write (input `[batch, 3, row, col]` normalised, outputs
    `embedding` and, if the spec has map channels, `map`), `write_weights` that of the safetensors; `made`
    is kept in `spec.json`. A bundle that lies there already is replaced; without `replace_whole` only a damaged
    one is, because another process may be reading the whole one.
    """

    def fill(part: Path) -> None:
        write_model(part / MODEL)
        if write_weights is not None:
            write_weights(part / WEIGHTS)
        text = {
            "format": FORMAT,
            "spec": spec.to_json(),
            "files": {
                file.relative_to(part).as_posix(): file.stat().st_size
                for file in sorted(part.rglob("*"))
                if file.is_file()
            },
            "made": dict(made or {}),
        }
        (part / SPEC).write_text(json.dumps(text, indent=2) + "\n", encoding="utf-8")

    write_folder(folder, fill, stays=(lambda _: False) if replace_whole else is_bundle)


def is_bundle(folder: Path) -> bool:
    """Whether a whole bundle lies in `folder`."""
    try:
        read_bundle(folder)
    except BackboneError:
        return False
    return True
