"""`featurelens adapt`: make a backbone fit for another kind of image, without labels of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from featurelens.cli.options import BackboneName, Device, Json
from featurelens.cli.terminal import interruptible, notice, print_json, quoted, say

if TYPE_CHECKING:
    from featurelens.adapt.domain.adapting import Adapting


def adapt(
    source: Annotated[
        Path, typer.Argument(help="A folder of labelled images (class folders or metadata.csv).")
    ],
    target: Annotated[
        Path,
        typer.Argument(
            help="A folder of images of another kind. Its labels, if any, only measure: nothing learns from them."
        ),
    ],
    backbone: BackboneName = "embedded",
    out: Annotated[
        Path | None,
        typer.Option(
            help="Result folder; the same command goes on there after a stop. Default: TARGET/.featurelens/adapt."
        ),
    ] = None,
    methods: Annotated[
        str,
        typer.Option(
            help="auto (coral, mmd and, where the backbone has batch norm, adabn: the best by --criterion, or "
            "nothing), or some of coral, adabn, deep-coral, mmd, dann, mcc, pseudo, source (no adaptation), "
            "separated by commas."
        ),
    ] = "auto",
    criterion: Annotated[
        str,
        typer.Option(
            help="What chooses method and epoch without target labels: clarity (infomax times silhouette), infomax (sure "
            "and even predictions), silhouette (predicted classes apart), density (soft neighbourhoods), validation "
            "(deep embedded) or reverse (teach the source anew from the target's classes)."
        ),
    ] = "clarity",
    depth: Annotated[
        str,
        typer.Option(
            help="What learns: features (a map of embeddings extracted once: seconds, any backbone) or network (its "
            "last stages)."
        ),
    ] = "features",
    stages: Annotated[int, typer.Option(help="Depth network: how many stages below the head learn.")] = 1,
    epochs: Annotated[int, typer.Option(help="Passes over the larger domain, of each method.")] = 6,
    head_epochs: Annotated[int, typer.Option(help="Passes of the classifier on the source, before.")] = 20,
    weight: Annotated[
        float | None, typer.Option(help="Of the method's own loss. Default: 1; mmd 3, deep-coral 10.")
    ] = None,
    lr: Annotated[
        float | None,
        typer.Option(help="Learning rate of the map (default 2e-4) or of the network's head (3e-4)."),
    ] = None,
    shrink: Annotated[
        float, typer.Option(help="CORAL: so much of the mean variance is added to each covariance.")
    ] = 1.0,
    most: Annotated[
        float,
        typer.Option(help="Pseudo-labels: the share of each predicted class that is believed in the end."),
    ] = 0.8,
    batch_size: Annotated[int, typer.Option(help="Images of each domain at once.")] = 32,
    weight_decay: Annotated[float, typer.Option(help="Of weights; biases and norms have none.")] = 0.01,
    warmup: Annotated[float, typer.Option(help="Share of the steps in which the rate rises.")] = 0.1,
    clip: Annotated[float, typer.Option(help="Largest norm of the gradient; 0: any.")] = 1.0,
    area: Annotated[
        float, typer.Option(help="Depth network: least share of an image that a training crop shows.")
    ] = 0.5,
    flip: Annotated[float, typer.Option(help="Depth network: share of mirrored images.")] = 0.5,
    precision: Annotated[
        str, typer.Option(help="auto (bf16 where the machine computes it), fp32 or bf16.")
    ] = "auto",
    split: Annotated[
        str,
        typer.Option(help="Source images held out: auto, folder (train/ and val/), none, or a share: 0.2."),
    ] = "auto",
    seed: Annotated[int, typer.Option(help="Of split, order, augmentation and new weights.")] = 0,
    pretrained: Annotated[bool, typer.Option(help="Start from the trained weights.")] = True,
    weights: Annotated[Path | None, typer.Option(help="Weights from a local file.")] = None,
    device: Device = "auto",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only measure how far the two domains lie apart.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Adapt a backbone from the labelled images of SOURCE to the other kind of image in TARGET."""
    given = dict(locals())
    from featurelens.adapt.domain.adapting import Adapting
    from featurelens.cli import adapting_run as run

    adapting: Adapting = Adapting(**{name: given[name] for name in Adapting.__dataclass_fields__})
    net = run.load(backbone, device=device, pretrained=pretrained, weights=weights)
    folder = out or target / ".featurelens" / "adapt"
    with interruptible() as keep_going:
        if dry_run:
            run.show_shift(source, target, net, folder, keep_going=keep_going, as_json=as_json)
            return
        adapted = run.teach(source, target, net, adapting, folder, keep_going=keep_going)
    say("Saving, and measuring the shift before and after")
    name = adapted.save(folder)
    shifts = run.shifts_of(adapted, net)
    run.keep_shifts(shifts, folder)
    if as_json:
        from featurelens.adapt.domain.saved import figures

        told = {when: one.to_json() for when, one in shifts.items()}
        print_json(figures(adapted) | {"shift": told, "out": folder, "backbone": name})
    else:
        run.show_result(adapted, shifts)
    for text in adapted.warnings:
        run.warn(text)
    notice(f"Result:  {folder} (MODEL_CARD.md, metrics.json, shift.json, tried.csv, predictions.csv)")
    notice(f"Use it:  featurelens index PHOTOS --backbone {quoted(name)}")
