"""`featurelens duplicates`: which images of a gallery show the same picture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from featurelens.cli.csv_file import write_csv
from featurelens.cli.options import GalleryFolder, Json
from featurelens.cli.terminal import notice, print_json, progress_bar, say, show
from featurelens.wording import printable

if TYPE_CHECKING:
    from featurelens.search import DuplicateGroup


def duplicates(
    gallery: GalleryFolder = None,
    threshold: Annotated[
        float,
        typer.Option(help="How well two pictures must agree when laid upon each other, 0 to 1."),
    ] = 0.72,
    neighbours: Annotated[
        int, typer.Option(help="How many of the most similar images each is compared with.")
    ] = 10,
    exact_only: Annotated[bool, typer.Option("--exact-only", help="Only files with the same bytes.")] = False,
    path: Annotated[str | None, typer.Option(help="Only images whose path matches, e.g. 'dogs/*'.")] = None,
    label: Annotated[str | None, typer.Option(help="Only images with this label.")] = None,
    csv: Annotated[Path | None, typer.Option(help="Write the list to this file.")] = None,
    as_json: Json = False,
) -> None:
    """List images that show the same picture: copied, cropped, rescaled, compressed, mirrored or tinted.

    Nothing is ever deleted or changed. The first of each group, the one with most pixels, is the one to keep.
    """
    from featurelens.cli.galleries import find_gallery
    from featurelens.search import Gallery, find_duplicates

    with Gallery.open(find_gallery(gallery, Path.cwd()), say=say) as opened:
        total = len(opened)
        with progress_bar("Comparing") as advance:
            found = find_duplicates(
                opened,
                threshold=threshold,
                neighbours=neighbours,
                exact_only=exact_only,
                path=path,
                label=label,
                on_progress=lambda now: advance(now.done, now.total),
            )
    if csv is not None:
        write_csv(csv, _csv_rows(found))
        notice(f"Wrote {csv}")
    if as_json:
        print_json({"gallery": opened.folder, "groups": [_group_json(group) for group in found]})
        return
    if not found:
        notice(f"No duplicates among {total:,} images.")
        return
    _print(found)
    copies = sum(len(group.members) - 1 for group in found)
    notice(f"{len(found):,} groups, {copies:,} copies among {total:,} images. Nothing was deleted.")


def _print(found: Sequence[DuplicateGroup]) -> None:
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for name in ("group", "similarity", "id", "size"):
        table.add_column(name, justify="right")
    table.add_column("what it is", overflow="fold")
    table.add_column("file", overflow="fold")
    for number, group in enumerate(found, 1):
        for i, (hit, how) in enumerate(zip(group.members, group.how, strict=True)):
            table.add_row(
                "" if i else f"{number} {group.kind}",
                f"{hit.similarity:.3f}",
                str(hit.id),
                f"{hit.width} × {hit.height}" if hit.width else "",
                how,
                escape(printable(hit.name)),
                style=None if i else "bold",
                end_section=i == len(group.members) - 1,
            )
    show(table)


def _csv_rows(found: Sequence[DuplicateGroup]) -> Iterator[list[Any]]:
    """One line per image; a name that a spreadsheet would run as a formula is written as text."""
    yield ["group", "kind", "what", "name", "similarity", "width", "height"]
    for number, group in enumerate(found, 1):
        for hit, how in zip(group.members, group.how, strict=True):
            name = "'" + printable(hit.name) if hit.name[:1] in "=+-@" else printable(hit.name)
            yield [number, group.kind, how, name, f"{hit.similarity:.4f}", hit.width, hit.height]


def _group_json(group: DuplicateGroup) -> dict[str, Any]:
    members = [asdict(hit) | {"how": how} for hit, how in zip(group.members, group.how, strict=True)]
    return {"kind": group.kind, "members": members}
