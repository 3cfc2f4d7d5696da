"""`featurelens search`: the images of a gallery that look most like one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from featurelens.cli.options import Device, GalleryFolder, Json
from featurelens.cli.terminal import notice, print_json, printable, say, show

if TYPE_CHECKING:
    from rich.table import Table

    from featurelens.search import Gallery, Hit


def search(
    query: Annotated[str, typer.Argument(help="An image file, or id:N for an image of the gallery.")],
    gallery: GalleryFolder = None,
    k: Annotated[int, typer.Option("-k", "--k", help="How many images to show.")] = 10,
    min_similarity: Annotated[
        float | None, typer.Option(help="Leave out what is less similar (cosine, -1 to 1).")
    ] = None,
    path: Annotated[str | None, typer.Option(help="Only images whose path matches, e.g. 'dogs/*'.")] = None,
    label: Annotated[str | None, typer.Option(help="Only images with this label.")] = None,
    exact: Annotated[
        bool | None,
        typer.Option(
            "--exact/--approximate", help="Compare with every vector, or use the index. Default: by size."
        ),
    ] = None,
    device: Device = "auto",
    open_page: Annotated[
        bool, typer.Option("--open", help="Write a page with the pictures, open it.")
    ] = False,
    page: Annotated[Path | None, typer.Option(help="Write the page with the pictures to this file.")] = None,
    as_json: Json = False,
) -> None:
    """Find the images that look most like QUERY."""
    from featurelens.cli.galleries import find_gallery
    from featurelens.search import Gallery

    by_id = query.startswith("id:")
    if by_id and not query[3:].isdigit():
        raise typer.BadParameter(f"'{query}' is not an id; expected id: and a number, e.g. id:12")
    asked: int | Path = int(query[3:]) if by_id else Path(query)
    folder = find_gallery(gallery, Path.cwd(), *([] if by_id else [Path(query)]))
    with Gallery.open(folder, device=device, say=say) as opened:
        hits = opened.search(asked, k=k, min_similarity=min_similarity, path=path, label=label, exact=exact)
        if open_page or page:
            _write_page(opened, query, asked, hits, page=page, open_it=open_page)
    if as_json:
        print_json({"query": query, "gallery": folder, "hits": [_hit_json(hit) for hit in hits]})
        return
    if not hits:
        notice("No image of the gallery passes these limits.")
        return
    show(hits_table(hits))


def hits_table(hits: Sequence[Hit]) -> Table:
    """The hits as a table: similarity, id, label, file."""
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("similarity", justify="right")
    table.add_column("id", justify="right")
    table.add_column("label", overflow="fold")
    table.add_column("file", overflow="fold")
    for hit in hits:
        table.add_row(
            f"{hit.similarity:.3f}", str(hit.id), escape(hit.label or ""), escape(printable(hit.name))
        )
    return table


def _hit_json(hit: Hit) -> dict[str, object]:
    from dataclasses import asdict

    return asdict(hit)


def _write_page(
    opened: Gallery, query: str, asked: int | Path, hits: Sequence[Hit], *, page: Path | None, open_it: bool
) -> None:
    from featurelens.web.results_page import write_results_page

    target = page or opened.folder / "results.html"
    write_results_page(target, opened, query, asked, hits)
    notice(f"Page: {target}")
    if open_it:
        import webbrowser

        if not webbrowser.open(target.resolve().as_uri()):
            notice("No browser could be started here; open the page by hand.")
