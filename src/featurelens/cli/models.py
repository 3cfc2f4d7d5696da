"""`featurelens models`: which networks can be used here, what is already on this machine, and fetching more."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Annotated

import typer

from featurelens.cli.options import Json
from featurelens.cli.terminal import notice, print_json, say, show


def models(
    pattern: Annotated[
        str, typer.Argument(help="Only names that match, e.g. 'resnet*' or '*dino*'; or: pull, and names.")
    ] = "*",
    names: Annotated[list[str] | None, typer.Argument(help="After pull: the networks to fetch.")] = None,
    cached: Annotated[
        bool, typer.Option("--cached", help="Only networks that are ready to use without a download.")
    ] = False,
    limit: Annotated[int, typer.Option(min=0, help="Show at most so many rows; 0 for all.")] = 40,
    as_json: Json = False,
) -> None:
    """List the networks by the names that --backbone takes; 'models pull NAME' fetches one for use without a network."""
    if pattern == "pull":
        _pull(names or [], as_json=as_json)
        return
    if names:
        raise typer.BadParameter(
            f"one pattern, not '{pattern}' and {names}; to fetch: featurelens models pull NAME"
        )
    from importlib.util import find_spec

    from rich.table import Table

    from featurelens.backbone.listing import list_backbones

    found = [m for m in list_backbones() if fnmatchcase(m.name, pattern) and (m.ready or not cached)]
    if as_json:
        print_json(found)
        return
    shown = found[:limit] if limit else found
    table = Table(box=None, pad_edge=False)
    for name in ("name", "from", "ready", "what"):
        table.add_column(name, overflow="fold")
    for model in shown:
        table.add_row(model.name, model.source, "yes" if model.ready else "", model.note)
    show(table)
    if len(shown) < len(found):
        notice(f"{len(found) - len(shown):,} more: narrow with a pattern ('resnet*'), or --limit 0.")
    if not found:
        notice(f"No network matches '{pattern}'. Patterns: * any text, ? any letter.")
    if find_spec("timm") is None:
        notice("The networks of timm and torchvision come with torch: pip install 'featurelens[lab]'")


def _pull(names: list[str], *, as_json: bool) -> None:
    """Load each network once: what it needs lies in the caches afterwards, its text tower and tokenizer too."""
    from featurelens.backbone import TextBackbone, load_backbone

    if not names:
        raise typer.BadParameter(
            "name what to fetch, e.g. featurelens models pull clip:Xenova/clip-vit-base-patch32"
        )
    found = []
    for name in names:
        loaded = load_backbone(name, say=say)
        if loaded.spec.text and isinstance(loaded, TextBackbone):
            loaded.embed_text(["ready"])
        spec = loaded.spec
        found.append(
            {"name": name, "ready": True, "dim": spec.dim, "text": spec.text, "licence": spec.licence}
        )
        takes = f"{spec.things} and text" if spec.text else spec.things
        notice(f"{name} is ready: {takes}, vectors of {spec.dim} numbers, licence {spec.licence}.")
    if as_json:
        print_json(found)
