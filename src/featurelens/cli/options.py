"""Options that several commands share, so that each is worded once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

BackboneName = Annotated[
    str,
    typer.Option(
        "--backbone",
        "-b",
        help="Network to use: embedded, a timm name (resnet50), torchvision:NAME, local-dir:PATH, "
        "onnx:FILE, bundle:DIR, classic:hog; for text too, clip:REPO, clip:DIR or openclip:ARCH/TAG; for sounds, "
        "clap:REPO or clap:DIR. "
        "'featurelens models' lists them.",
    ),
]
OptionalBackboneName = Annotated[
    str | None,
    typer.Option(
        "--backbone",
        "-b",
        help="Network to use: embedded, a timm name (resnet50), torchvision:NAME, local-dir:PATH, "
        "onnx:FILE, bundle:DIR, classic:hog; for text too, clip:REPO, clip:DIR or openclip:ARCH/TAG; for sounds, "
        "clap:REPO or clap:DIR. "
        "Default: the gallery's own; embedded for a new gallery.",
    ),
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:1.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout.")]
GalleryFolder = Annotated[
    Path | None,
    typer.Option(
        "--gallery",
        "-g",
        help="Indexed folder, its gallery folder, or a Lance table (NAME.lance, s3://...). Default: the nearest one from "
        "here upwards.",
    ),
]
