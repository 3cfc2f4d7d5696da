"""`featurelens extract`: the features of a folder of images as a file, of one backbone or of several fused."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from featurelens.cli.options import Device, Json
from featurelens.cli.terminal import notice, print_json, progress_bar, quoted, say, say_skipped


def extract(
    images: Annotated[Path, typer.Argument(help="Folder of images, any depth.")],
    out: Annotated[
        Path,
        typer.Option(help="What to write: FOLDER (which goes on where it was stopped), .npy or .parquet."),
    ],
    backbones: Annotated[
        str,
        typer.Option(
            "--backbones",
            "-b",
            help="Backbones, separated by commas: any name that --backbone takes elsewhere, NAME@160 for "
            "another size in pixels.",
        ),
    ] = "embedded",
    fusion: Annotated[
        str | None,
        typer.Option(
            help="How several backbones or layers become one vector: concat, weights, attention, pca or whitening."
        ),
    ] = None,
    layers: Annotated[
        str, typer.Option(help="Layers of one backbone instead of its embedding, separated by commas.")
    ] = "",
    pooling: Annotated[
        str | None, typer.Option(help="avg, max, gem, cls or flatten, of maps or layers.")
    ] = None,
    train: Annotated[
        str,
        typer.Option(help="What weights and attention learn from: labels, views (augmented), or auto."),
    ] = "auto",
    dim: Annotated[
        int, typer.Option(help="Numbers in a fused vector, for attention, pca and whitening.")
    ] = 256,
    heads: Annotated[int, typer.Option(help="Heads of attention; they must divide dim.")] = 4,
    backbone_out: Annotated[
        Path | None,
        typer.Option(help="Also keep the fused backbone here: index and assess take it as fused:DIR."),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Also tell, on the labels and in folds, whether fusing helps.")
    ] = False,
    device: Device = "auto",
    batch_size: Annotated[int, typer.Option(help="Images per call of the network.")] = 32,
    workers: Annotated[
        int | None, typer.Option(help="Decoding threads. Default: the cores that are free to use.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the training and of the folds.")] = 0,
    as_json: Json = False,
) -> None:
    """Write the features of IMAGES: vectors with their ids, labels and where they come from."""
    from featurelens.backbone import load_backbone
    from featurelens.backbone.members import member_of
    from featurelens.cli.fusing import (
        LEARNED,
        TABLES,
        check_request,
        fuse_layers,
        gain_of,
        learned_weights,
        save,
    )
    from featurelens.features.extract import extract as run

    members, tapped = [member_of(name) for name in _listed(backbones)], _listed(layers)
    check_request(fusion, members, tapped, out, pooling, whole=bool(backbone_out or check))
    out.parent.mkdir(parents=True, exist_ok=True)  # rather now than after all the work
    engine = "torch" if tapped else "auto"
    loaded = [(m, load_backbone(m.name, size=m.size, device=device, engine=engine, say=say)) for m in members]
    learning: dict[str, Any] = {"dim": dim, "heads": heads, "seed": seed}
    made = gain = None
    with progress_bar("Embedding") as advance:
        options: dict[str, Any] = {
            "batch_size": batch_size,
            "workers": workers,
            "on_progress": lambda p: advance(p.done, p.total, p.failed),
        }
        if fusion is not None and not tapped:
            from featurelens.adapt.fused_backbone import fuse_backbones

            made = fuse_backbones(images, loaded, fusion, train=train, **learning, **options)
            found: Any = made.features
        else:
            table = out.suffix in TABLES or fusion is not None
            found = run(
                images,
                loaded[0][1],
                layers=tapped or None,
                pooling=pooling,
                store=None if table else out,
                **options,
            )
            if fusion is not None:
                found = fuse_layers(found, fusion, train=train, **learning)
            elif tapped and table:
                found = found[tapped[0]]
    one = next(iter(found.values())) if isinstance(found, dict) else found
    if fusion is not None or out.suffix in TABLES:
        save(one, out)
    result = {"features": out, "images": len(one), "skipped": len(one.skipped), "from": one.spec.name}
    result |= {"dim": one.spec.dim, "layers": list(found) if isinstance(found, dict) else None}
    weights = learned_weights(made) if made is not None else {}
    result |= {"weights": weights} if weights else {}
    if made is not None and backbone_out:
        made.write(backbone_out)
        result["backbone"] = f"fused:{backbone_out}"
    if made is not None and check and fusion is not None:
        gain = gain_of(made, fusion, train=train, **learning)
        result["gains"] = gain.gains
    if fusion in LEARNED and train != "views" and one.labels is not None:
        say(
            "The fusion learned from the labels of these images, and measured on them it looks too good: "
            "--check tells in folds whether it helps, or assess other images."
        )
    if as_json:
        print_json(result)
        return
    print(f"{len(one):,} images, {one.spec.dim} numbers each, from {one.spec.name}: {out}")
    if weights:
        print("learned weights: " + ", ".join(f"{name} {weight:.2f}" for name, weight in weights.items()))
    if gain is not None:
        print(gain)
    say_skipped(one.skipped)
    if backbone_out:
        notice(
            f"Use the fused backbone: featurelens index {quoted(images)} --backbone {quoted(f'fused:{backbone_out}')}"
        )


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]
