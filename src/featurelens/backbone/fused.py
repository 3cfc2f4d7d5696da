"""`fused:DIR`: several backbones as one, joined by a small network that `featurelens extract --fusion` has fitted."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from featurelens.backbone.engine import load_openvino
from featurelens.backbone.members import Member, common_fit, part_of, unit_sources
from featurelens.backbone.openvino_backbone import read_model
from featurelens.backbone.pixels import check_pixels
from featurelens.backbone.protocol import Backbone, Spec
from featurelens.backbone.request import Request
from featurelens.durable import write_folder
from featurelens.errors import BackboneError
from featurelens.shapes import Float32, UInt8

FORMAT = "featurelens-fused/1"
HEAD, NETWORK = "fused.json", "fusion.onnx"
Join = Callable[[Sequence[Float32[np.ndarray, "batch _"]]], Float32[np.ndarray, "batch dim"]]


class FusedBackbone:
    """A Backbone of several: each member embeds its part of the pixels, `join` makes one vector of theirs.

    `maps` are the members' maps, each resized to the finest grid and scaled alike, one after the other. `weights`
    tells the joining network apart. Raises InvalidInput without members.

    >>> from featurelens.backbone import load_backbone
    >>> members = [load_backbone("classic:hog"), load_backbone("classic:colour")]
    >>> both = FusedBackbone(members, np.hstack, weights="side by side", name="both")
    >>> both.spec.dim == sum(m.spec.dim for m in members)
    True
    """

    def __init__(self, members: Sequence[Backbone], join: Join, *, weights: str, name: str) -> None:
        self.members, self._join = tuple(members), join
        specs = [m.spec for m in self.members]
        fit = common_fit([spec.fit for spec in specs])
        decisive = [weights, *(spec.fingerprint for spec in specs)]
        spec = Spec(
            name,
            weights=hashlib.sha256("\n".join(decisive).encode()).hexdigest(),
            dim=0,
            fit=fit,
            mean=(0.0, 0.0, 0.0),  # each member normalises for itself
            std=(1.0, 1.0, 1.0),
            map_channels=sum(s.map_channels for s in specs) if all(s.map_channels for s in specs) else 0,
            licence=" + ".join(dict.fromkeys(s.licence for s in specs)),
            precision=" + ".join(dict.fromkeys(s.precision for s in specs)),
        )
        self.spec = spec
        dim = self.embed(np.full((1, fit.rows, fit.cols, 3), 127, np.uint8)).shape[1]
        self.spec = replace(spec, dim=dim)

    @property
    def streams(self) -> int:
        return min(m.streams for m in self.members)

    def embed(self, pixels: UInt8[np.ndarray, "batch row col 3"]) -> Float32[np.ndarray, "batch dim"]:
        """The fused vector of each image."""
        check_pixels(pixels, self.spec.fit)
        if not len(pixels):
            return np.empty((0, self.spec.dim), np.float32)
        return self._join(unit_sources(self.members, pixels, self.spec.fit)).astype(np.float32, copy=False)

    def maps(
        self, pixels: UInt8[np.ndarray, "batch row col 3"]
    ) -> Float32[np.ndarray, "batch channel grid_row grid_col"]:
        """The members' maps on the finest grid; BackboneError where one of them has none."""
        check_pixels(pixels, self.spec.fit)
        whole = self.spec.fit
        found = [m.maps(part_of(pixels, whole, m.spec.fit)) for m in self.members]
        rows, cols = (max(one.shape[axis] for one in found) for axis in (2, 3))
        scaled = []
        for one in found:
            lengths = np.sqrt((one**2).sum(1).mean((1, 2)))[:, None, None, None]
            nearest = one[:, :, np.arange(rows) * one.shape[2] // rows][
                ..., np.arange(cols) * one.shape[3] // cols
            ]
            scaled.append(nearest / np.maximum(lengths, 1e-12))
        return np.concatenate(scaled, 1).astype(np.float32, copy=False)


def load(request: Request) -> FusedBackbone:
    """The fused backbone in a folder; BackboneError if it is none, or a member gives other vectors by now."""
    from featurelens.backbone import load_backbone

    request.refuse(
        "A fused backbone",
        size=request.size, weights=request.weights, mean=request.mean, std=request.std,
    )  # fmt: skip
    folder = Path(request.rest)
    try:
        head = json.loads((folder / HEAD).read_text(encoding="utf-8"))
        if head["format"] != FORMAT:
            raise BackboneError(f"{folder / HEAD} is in the format '{head['format']}'; expected '{FORMAT}'.")
        listed = [(Member(one["name"], one["size"]), one["weights"]) for one in head["members"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BackboneError(
            f"{folder} holds no fused backbone ({error}). One is made by: featurelens extract IMAGES "
            "--backbones a,b --fusion concat --backbone-out DIR"
        ) from error
    members = []
    for member, weights in listed:
        loaded = load_backbone(
            member.name, size=member.size, engine=request.engine, device=request.device,
            threads=request.threads, precision=request.precision, say=request.say,
        )  # fmt: skip
        if loaded.spec.weights != weights:
            raise BackboneError(
                f"{folder} was fused from '{member}' with the weights {weights[:12]}, which now loads as "
                f"{loaded.spec.weights[:12]}. Put these weights back, or fuse again."
            )
        members.append(loaded)
    digest = hashlib.sha256((folder / NETWORK).read_bytes()).hexdigest()
    return FusedBackbone(members, runner(folder / NETWORK), weights=digest, name=request.name)


def write(
    folder: Path,
    members: Sequence[tuple[Member, Backbone]],
    write_network: Callable[[Path], object],
    *,
    fusion: str,
) -> None:
    """Keep a fused backbone as a folder; `write_network` writes the joining network as ONNX, one input a member."""
    if folder.exists() and not (folder / HEAD).is_file() and (not folder.is_dir() or any(folder.iterdir())):
        raise BackboneError(f"{folder} is there already and no fused backbone; give a new name.")

    def fill(part: Path) -> None:
        write_network(part / NETWORK)
        listed = [asdict(member) | {"weights": loaded.spec.weights} for member, loaded in members]
        head = {"format": FORMAT, "fusion": fusion, "members": listed}
        (part / HEAD).write_text(json.dumps(head, indent=2) + "\n", encoding="utf-8")

    write_folder(folder, fill)


def runner(file: Path) -> Join:
    """The joining network on OpenVINO, in float32."""
    openvino = load_openvino()

    try:
        compiled = openvino.Core().compile_model(
            read_model(file), "CPU", {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
        )
    except RuntimeError as error:
        raise BackboneError(f"{file} cannot be run: {error}") from error
    request, lock = compiled.create_infer_request(), threading.Lock()

    def join(sources: Sequence[Float32[np.ndarray, "batch _"]]) -> Float32[np.ndarray, "batch dim"]:
        with lock:  # one small network for all callers
            request.infer([np.ascontiguousarray(one) for one in sources])
            return np.array(request.get_output_tensor(0).data)

    return join
