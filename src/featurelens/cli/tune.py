"""`featurelens tune`: teach a network the classes of a folder, and get a backbone back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from featurelens.cli.options import BackboneName, Device, Json
from featurelens.cli.places import apart_from
from featurelens.cli.terminal import interruptible, notice, print_json, quoted, say

if TYPE_CHECKING:
    from featurelens.adapt.tuning import Tuning


def tune(
    images: Annotated[
        Path, typer.Argument(help="A folder of images; class folders or metadata.csv give the labels.")
    ],
    backbone: BackboneName = "resnet18",
    out: Annotated[
        Path | None,
        typer.Option(
            help="Result folder; the same command goes on there after a stop. Default: IMAGES/.featurelens/tune."
        ),
    ] = None,
    plan: Annotated[
        str,
        typer.Option(
            help="frozen (head only, on features extracted once: seconds), last (some stages too), full, gradual "
            "(unfreeze one stage after another), lora."
        ),
    ] = "frozen",
    stages: Annotated[int, typer.Option(help="Plan last: how many stages below the head learn.")] = 2,
    epochs: Annotated[int, typer.Option(help="Passes over the teaching images.")] = 20,
    head_epochs: Annotated[
        int, typer.Option(help="Passes of the head alone, on frozen features, before the rest.")
    ] = 20,
    unfreeze_every: Annotated[int, typer.Option(help="Plan gradual: epochs until the next stage.")] = 2,
    lr: Annotated[
        float | None, typer.Option(help="Learning rate of the head. Default: by plan; see --dry-run.")
    ] = None,
    decay: Annotated[
        float, typer.Option(help="Each stage learns at so much of the rate of the one above it.")
    ] = 0.7,
    decay_by: Annotated[str, typer.Option(help="Apply --decay by stage, or by layer.")] = "stage",
    weight_decay: Annotated[float, typer.Option(help="Of weights; biases and norms have none.")] = 0.05,
    optimizer: Annotated[str, typer.Option(help="adamw or sgd.")] = "adamw",
    momentum: Annotated[float, typer.Option(help="Of sgd.")] = 0.9,
    batch_size: Annotated[int, typer.Option(help="Images at once.")] = 32,
    accumulate: Annotated[int, typer.Option(help="Batches for each step; saves memory.")] = 1,
    warmup: Annotated[float, typer.Option(help="Share of the steps in which the rate rises.")] = 0.1,
    clip: Annotated[float, typer.Option(help="Largest norm of the gradient; 0: any.")] = 1.0,
    smoothing: Annotated[float, typer.Option(help="Label smoothing.")] = 0.0,
    mixup: Annotated[float, typer.Option(help="Beta parameter of mixup; 0: off.")] = 0.0,
    cutmix: Annotated[float, typer.Option(help="Beta parameter of CutMix; 0: off.")] = 0.0,
    class_weights: Annotated[
        bool, typer.Option(help="Make small classes count as much as large ones.")
    ] = False,
    ema: Annotated[float, typer.Option(help="Average the weights over steps, e.g. 0.99; 0: off.")] = 0.0,
    patience: Annotated[
        int, typer.Option(help="Stop after so many epochs without a better test accuracy; 0: never.")
    ] = 0,
    batch_norm: Annotated[
        str, typer.Option(help="Batch norm of learning stages: frozen (statistics stay) or train.")
    ] = "frozen",
    rank: Annotated[int, typer.Option(help="Plan lora: rank of the added matrices.")] = 8,
    alpha: Annotated[float, typer.Option(help="Plan lora: their weight is alpha / rank.")] = 8.0,
    area: Annotated[
        float, typer.Option(help="Least share of an image that a training crop shows; 1: no crops.")
    ] = 0.5,
    flip: Annotated[float, typer.Option(help="Share of mirrored images.")] = 0.5,
    precision: Annotated[
        str, typer.Option(help="auto (bf16 where the machine computes it), fp32 or bf16.")
    ] = "auto",
    split: Annotated[
        str, typer.Option(help="Test images: auto, folder (train/ and val/), none, or a share: 0.2.")
    ] = "auto",
    seed: Annotated[
        int, typer.Option(help="Of the split, the order, the augmentation and the new weights.")
    ] = 0,
    pretrained: Annotated[bool, typer.Option(help="Start from the trained weights.")] = True,
    weights: Annotated[Path | None, typer.Option(help="Weights from a local file.")] = None,
    device: Device = "auto",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only print what would learn, at which rate.")
    ] = False,
    find_lr: Annotated[
        bool, typer.Option("--find-lr", help="Only try learning rates and suggest one.")
    ] = False,
    tensorboard: Annotated[
        Path | None, typer.Option(help="Also write TensorBoard event files into this folder.")
    ] = None,
    report: Annotated[
        bool, typer.Option("--report", help="At the end write a page of what changed (before and after).")
    ] = False,
    other: Annotated[
        Path | None, typer.Option(help="With --report: a labelled folder on which forgetting is measured.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Fine-tune a network to the classes of IMAGES; stop it at any time, the same command goes on."""
    given = dict(locals())
    if out is not None:
        apart_from(images, out)
    from featurelens.adapt.tuning import Tuning
    from featurelens.backbone import load_backbone
    from featurelens.cli import tuning_run as run

    if report and split == "none":
        raise typer.BadParameter(
            "none keeps no image for testing, on which --report would measure what changed; leave one of them out",
            param_hint="--split",
        )
    tuning: Tuning = Tuning(**{name: given[name] for name in Tuning.__dataclass_fields__})
    net = load_backbone(
        backbone, engine="torch", device=device, pretrained=pretrained, weights=weights, say=say
    )
    if dry_run:
        run.show_plan(images, net, tuning, as_json=as_json)
        return
    folder = out or images / ".featurelens" / "tune"
    if find_lr:
        run.show_rates(images, net, tuning, folder, as_json=as_json)
        return
    with interruptible() as keep_going:
        tuned = run.teach(images, net, tuning, folder, keep_going=keep_going, tensorboard=tensorboard)
    say("Exporting for the CPU engine, and comparing both")
    bundle = tuned.save(folder)
    if as_json:
        from featurelens.adapt.save_tuned import metrics

        print_json(metrics(tuned) | {"out": folder, "backbone": f"bundle:{bundle}"})
    else:
        run.show_result(tuned)
    tested = "confusion.csv, " if tuned.scores else ""
    notice(f"Result:  {folder} (MODEL_CARD.md, metrics.json, {tested}curves.svg)")
    notice(f"Use it:  featurelens index PHOTOS --backbone {quoted(f'bundle:{bundle}')}")
    if report:
        from featurelens.cli.before_after import write_changes

        page = write_changes(
            images, net, f"bundle:{bundle}", folder / "changes", other=other, only=tuned.test, device=device
        )
        notice(f"Changes: {page}")
