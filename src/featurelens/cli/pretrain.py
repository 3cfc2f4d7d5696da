"""`featurelens pretrain`: train a backbone without labels, from a recipe or from a folder of images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from featurelens.cli.options import Json
from featurelens.cli.terminal import interruptible, notice, print_json, progress_bar, say


def pretrain(
    source: Annotated[Path, typer.Argument(help="A recipe (TOML, procedural images) or a folder of images.")],
    out: Annotated[Path, typer.Option(help="Folder for the checkpoint; the same again goes on from there.")],
    recipe: Annotated[
        Path | None, typer.Option(help="With a folder: the recipe to train by. Default: the embedded one's.")
    ] = None,
    start: Annotated[
        Path | None, typer.Option(help="With a folder: a checkpoint of an earlier run to start from.")
    ] = None,
    bundle: Annotated[
        Path | None, typer.Option(help="At the end, also fit and export the fused backbone as this bundle.")
    ] = None,
    objective: Annotated[
        str | None, typer.Option(help="simclr, vicreg, barlow, byol or simsiam. Default: the recipe's.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:1.")] = "auto",
    threads: Annotated[int | None, typer.Option(help="CPU threads of torch. Default: torch's own.")] = None,
    save_every: Annotated[int, typer.Option(help="Steps between checkpoints.")] = 100,
    as_json: Json = False,
) -> None:
    """Pretrain a backbone without labels (SimCLR and kin); stop it at any time, the same command goes on."""
    try:
        import torch

        from featurelens.adapt import embedded
        from featurelens.adapt.contrastive import pretrain as train
        from featurelens.adapt.recipe import EMBEDDED, make_recipe, read_recipe
        from featurelens.adapt.sources import from_folder, procedural
        from featurelens.backbone.torch_backbone import pick_device
    except ModuleNotFoundError as error:
        from featurelens.errors import MissingExtra

        raise MissingExtra(error.name or "torch", "lab", "Pretraining") from error

    if threads:
        torch.set_num_threads(threads)
    device = pick_device(device)
    chosen = read_recipe(source if source.is_file() else recipe or EMBEDDED)
    if objective:
        chosen = make_recipe(chosen.to_json() | {"objective": objective})
    if source.is_file():
        pairs, held = procedural(chosen, device=device)
    else:
        pairs, held = from_folder(source, chosen, device=device, say=say)
    with progress_bar("Training", unit="steps") as advance, interruptible() as keep_going:
        train(chosen, pairs, held, out, device=device, save_every=save_every, say=say, initial=start,
              keep_going=keep_going, on_progress=advance)  # fmt: skip
        if not keep_going():
            raise KeyboardInterrupt
    result = {"checkpoint": out / "checkpoint.pt", "steps": chosen.steps}
    if bundle:
        say("fitting the codebook and the projections, exporting")
        made = embedded.make_bundle(out / "checkpoint.pt", bundle)
        result |= {"bundle": bundle, "weights": made.spec.weights}
    if as_json:
        print_json(result)
    else:
        notice(f"Done: {out / 'checkpoint.pt'}" + (f", {bundle}" if bundle else ""))
