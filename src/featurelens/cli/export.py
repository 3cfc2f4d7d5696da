"""`featurelens export`: a backbone as files for other programs, or smaller and faster."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from featurelens.cli.options import Json
from featurelens.cli.terminal import print_json, quoted, say


class To(StrEnum):
    """The formats, as typer offers them."""

    onnx = "onnx"
    openvino = "openvino"
    safetensors = "safetensors"
    torch = "torch"
    clip = "clip"


def export(
    backbone: Annotated[
        str,
        typer.Argument(
            help="embedded, a timm name (resnet50), torchvision:NAME, local-dir:PATH, bundle:DIR, openclip:ARCH/TAG."
        ),
    ],
    out: Annotated[Path, typer.Option(help="The folder to make.")],
    to: Annotated[
        To, typer.Option(help="onnx is a bundle, for bundle:DIR and any ONNX runtime; clip is for clip:DIR.")
    ] = To.onnx,
    fp16: Annotated[bool, typer.Option("--fp16", help="A bundle with weights in half precision.")] = False,
    int8: Annotated[
        bool,
        typer.Option(
            "--int8", help="A bundle that computes in int8; refused if it moves neighbours (--images)."
        ),
    ] = False,
    images: Annotated[
        Path | None, typer.Option(help="Your images: int8 is calibrated and every export compared on them.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many of the images.")] = 600,
    pretrained: Annotated[
        bool, typer.Option(help="Load the trained weights; --no-pretrained needs no download.")
    ] = True,
    as_json: Json = False,
) -> None:
    """Write a network as ONNX bundle, OpenVINO, safetensors, torch.export file or clip: folder, and compare it."""
    from featurelens.export import export as write

    found = write(
        backbone,
        out,
        to=to.value,
        fp16=fp16,
        int8=int8,
        images=images,
        limit=limit,
        pretrained=pretrained,
        say=say,
    )
    if as_json:
        print_json(found)
        return
    print(f"{found.folder}: {to.value}, {found.precision}, {found.bytes / 1e6:.1f} MB")
    print(f"Against the original, {found.parity}.")
    if found.left:
        print(f"{found.left} layers stay in float32.")
    print("Use it: " + _use(to, backbone, found.folder))


def _use(to: To, backbone: str, folder: Path) -> str:
    if to is To.onnx:
        return f"featurelens index DIR --backbone {quoted(f'bundle:{folder}')}"
    if to is To.clip:
        return f"featurelens index DIR --backbone {quoted(f'clip:{folder}')}"
    if backbone.startswith("torchvision:") and to is To.safetensors:
        return f"load_backbone('{backbone}', weights='{folder / 'model.safetensors'}')"
    if to is To.safetensors:
        return f"featurelens index DIR --backbone {quoted(f'local-dir:{folder}')}"
    file = "model.xml" if to is To.openvino else "model.pt2"
    return f"{folder / file} takes uint8 pixels [batch, row, col, 3]; {folder / 'spec.json'} tells their size"
