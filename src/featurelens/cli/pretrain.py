"""`featurelens pretrain`: train a backbone without labels, from a recipe or from a folder of images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from featurelens.cli.options import Json
from featurelens.cli.terminal import interruptible, notice, print_json, progress_bar, quoted, say


def pretrain(
    source: Annotated[
        Path, typer.Argument(help="A folder of images, or a recipe (TOML, procedural images).")
    ],
    out: Annotated[Path, typer.Option(help="Folder for the checkpoint; the same again goes on from there.")],
    recipe: Annotated[
        Path | None, typer.Option(help="With a folder: the recipe to train by. Default: the one for folders.")
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(
            help="What to start from: embedded, a timm network with its trained weights, an earlier "
            "checkpoint.pt, or none. Default: embedded for a folder without --recipe, else none."
        ),
    ] = None,
    bundle: Annotated[
        Path | None, typer.Option(help="At the end, also make a backbone of it: this folder, as bundle:DIR.")
    ] = None,
    objective: Annotated[
        str | None, typer.Option(help="simclr, vicreg, barlow, byol or simsiam. Default: the recipe's.")
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Steps of all phases together. 0: train nothing, only fit the projections on the images (--bundle). "
            "Default: the recipe's.",
        ),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Of images, augmentation and new weights. Default: the recipe's.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:1.")] = "auto",
    threads: Annotated[
        int | None, typer.Option(min=1, help="CPU threads of torch. Default: torch's own.")
    ] = None,
    save_every: Annotated[int, typer.Option(min=1, help="Steps between checkpoints.")] = 100,
    as_json: Json = False,
) -> None:
    """Pretrain a backbone without labels (SimCLR and kin); stop it at any time, the same command goes on."""
    import torch

    from featurelens.adapt import pretrained
    from featurelens.adapt.contrastive import pretrain as train
    from featurelens.adapt.recipe import FOLDER, make_recipe, read_recipe
    from featurelens.adapt.sources import from_folder, procedural
    from featurelens.adapt.start import start_from
    from featurelens.backbone.torch_backbone import pick_device

    if steps == 0 and bundle is None:
        raise typer.BadParameter(
            "0 only fits what a backbone has beside its network; --bundle DIR says where it goes",
            param_hint="--steps",
        )
    if threads:
        torch.set_num_threads(threads)
    device = pick_device(device)
    photos = not source.is_file()
    chosen = read_recipe((recipe or FOLDER) if photos else source)
    asked = {"objective": objective, "seed": seed}
    chosen = make_recipe(chosen.to_json() | {k: v for k, v in asked.items() if v is not None})
    chosen = chosen if steps is None else chosen.cut_to(steps)
    origin = start or ("embedded" if photos and recipe is None else "none")
    begin = start_from(None if origin == "none" else origin, chosen, say=say)
    chosen = begin.recipe
    if bundle and chosen.steps:
        pretrained.check_export(chosen, begin.prepare, say=say)
    given = (
        from_folder(source, chosen, device=device, say=say) if photos else procedural(chosen, device=device)
    )
    say(f"{chosen.objective} of {chosen.architecture}, started from {origin}: {told(chosen.phases)}")
    with progress_bar("Training", unit="steps") as advance, interruptible() as keep_going:
        train(chosen, given.pairs, given.held, out, images=given.digest, origin=begin.name, device=device, save_every=save_every,
              say=say, prepare=begin.prepare, labelled=given.labelled, keep_going=keep_going, on_progress=advance)  # fmt: skip
        if not keep_going():
            raise KeyboardInterrupt
    result = {"checkpoint": out / "checkpoint.pt", "steps": chosen.steps}
    if bundle:
        say("making the backbone: fitting what is not trained, exporting")
        images = None if given.images is None else given.images.cpu()
        made = pretrained.write(out / "checkpoint.pt", bundle, images=images)
        result |= {"bundle": bundle, "weights": made.spec.weights}
    if as_json:
        print_json(result)
    else:
        notice(f"Done: {out / 'checkpoint.pt'}")
        use = (
            f"featurelens index {quoted(source) if photos else 'DIR'} --backbone {quoted(f'bundle:{bundle}')}"
        )
        notice(f"Use it: {use}" if bundle else "The same command with --bundle DIR makes a backbone of it.")


def told(phases: tuple[tuple[int, int, int], ...]) -> str:
    """The phases in words."""
    if not sum(phase[0] for phase in phases):
        return "nothing is trained, only what the bundle adds is fitted"
    return ", ".join(f"{steps} steps of {batch} pairs at {size} px" for steps, size, batch in phases)
