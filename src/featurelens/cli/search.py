"""`featurelens search`: the images of a gallery that look most like one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from featurelens.cli.options import Device, GalleryFolder, Json
from featurelens.cli.queries import Box, asked, box_of, concepts_of
from featurelens.cli.terminal import notice, print_json, say, show
from featurelens.wording import printable

if TYPE_CHECKING:
    from rich.table import Table

    from featurelens.search import Gallery, Hit


def search(
    query: Annotated[
        str | None, typer.Argument(help="An image (or sound) file, or id:N for one of the gallery.")
    ] = None,
    more: Annotated[
        list[str] | None, typer.Option(help="More like this image, too (file or id:N); repeat for more.")
    ] = None,
    less: Annotated[
        list[str] | None, typer.Option(help="Less like this image (file or id:N); repeat for more.")
    ] = None,
    text: Annotated[
        list[str] | None,
        typer.Option(help="What the images show, in words; alone, or added to the images. Repeat for more."),
    ] = None,
    less_text: Annotated[
        list[str] | None, typer.Option(help="Less of what these words say; repeat for more.")
    ] = None,
    text_weight: Annotated[
        float, typer.Option(help="How much the words count beside images; 1: as much as one image.")
    ] = 1.0,
    concept: Annotated[
        list[str] | None,
        typer.Option(
            help="Concept N that 'featurelens concepts' learned: alone, or more of it (N:0.5), less of it (N:-0.5). Repeat "
            "for more."
        ),
    ] = None,
    concepts: Annotated[
        Path | None, typer.Option(help="Folder of the concepts. Default: concepts in the gallery's folder.")
    ] = None,
    box: Annotated[
        str | None,
        typer.Option(
            help="Search for this part of QUERY: LEFT,TOP,RIGHT,BOTTOM as fractions (0 to 1), or in pixels."
        ),
    ] = None,
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
    """Find the images that look most like QUERY, or like several images, a part of one, words or a concept.

    Words need a gallery that was indexed with a backbone for text: clip:REPO, clip:DIR or openclip:ARCH/TAG; of sounds,
    clap:REPO or clap:DIR.
    """
    from featurelens.cli.galleries import find_gallery
    from featurelens.search import Gallery, nothing_matches_below

    liked = [asked(text) for text in ([query] if query else []) + (more or [])]
    disliked = [asked(text) for text in less or []]
    words: dict[str, Any] = {"text": text, "less_text": less_text, "text_weight": text_weight}
    along = concepts_of(concept or [])
    if not liked and (disliked or not (text or less_text or along)):
        raise typer.BadParameter(
            "give an image to search with (QUERY or --more IMAGE), --text WORDS or --concept N"
        )
    if box is not None and (len(liked) > 1 or disliked or exact is not None or text or less_text or along):
        raise typer.BadParameter(
            "it is drawn on one image, without --more, --less, --text, --concept and --exact",
            param_hint="--box",
        )
    folder = find_gallery(gallery, Path.cwd(), *[one for one in liked if isinstance(one, Path)])
    with Gallery.open(folder, device=device, say=say) as opened:
        limits: Any = {"k": k, "min_similarity": min_similarity, "path": path, "label": label}
        boxes: list[Box] | None = None
        part: Box | None = None
        line = None
        if box is not None:
            hits, boxes, part = _in_region(opened, liked[0], box, limits)
        else:
            limits |= words | {"exact": exact}
            if along:
                from featurelens.cli.concepts import search_along

                hits = search_along(opened, liked, disliked, concepts, along, limits)
            else:
                hits = _alike(opened, liked, disliked, limits)
            plain = len(liked) == 1 and not (disliked or text or less_text or along)
            line = nothing_matches_below(opened) if plain else None
        if open_page or page:
            name = " · ".join([*filter(None, [query]), *(more or [])][:1] + _quoted(text, less_text, along))
            first = liked[0] if liked else None
            _write_page(opened, name, first, hits, page=page, open_it=open_page, box=part, boxes=boxes)
    if as_json:
        shown = [asdict(hit) | ({"box": boxes[i]} if boxes else {}) for i, hit in enumerate(hits)]
        asked_for = {"query": query, "more": more or [], "less": less or [], "box": box, "concepts": along}
        asked_for |= words
        print_json(asked_for | {"gallery": folder, "nothing_matches_below": line, "hits": shown})
        return
    if not hits:
        notice("No image of the gallery passes these limits.")
        return
    weak = line is not None and hits[0].similarity < line
    show(hits_table(hits, boxes=boxes, weak=weak))
    if weak:
        notice(
            f"Nothing in the gallery really matches: 19 in 20 of its own images have a nearer one ({line:.2f} or more)."
        )


def _alike(
    opened: Gallery, liked: Sequence[int | Path], disliked: Sequence[int | Path], limits: dict[str, Any]
) -> list[Hit]:
    from featurelens.search import search_like

    if len(liked) < 2 and not disliked:
        return opened.search(liked[0] if liked else None, **limits)
    return search_like(opened, liked, less=disliked, **limits)


def _quoted(text: Sequence[str] | None, less: Sequence[str] | None, along: Mapping[int, float]) -> list[str]:
    said = [*(f"“{one}”" for one in text or []), *(f"not “{one}”" for one in less or [])]
    return said + [f"concept {number} × {weight:g}" for number, weight in along.items()]


def _in_region(
    opened: Gallery, query: int | Path, box: str, limits: dict[str, Any]
) -> tuple[list[Hit], list[Box], Box]:
    """The hits, what matches in each, and the part as fractions."""
    from featurelens.images.decode import decode
    from featurelens.search import search_region

    file = opened.image(query).path if isinstance(query, int) else query
    whole = decode(file, max_pixels=opened.settings.max_pixels)
    part = box_of(box, (whole.width, whole.height))
    found = search_region(opened, whole.pixels, part, **limits)
    return [one.hit for one in found], [one.box for one in found], part


def hits_table(hits: Sequence[Hit], *, boxes: Sequence[Box] | None = None, weak: bool = False) -> Table:
    """The hits as a table: similarity, id, label, file, the part that matches; dim if `weak`."""
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("similarity", justify="right")
    table.add_column("id", justify="right")
    table.add_column("label", overflow="fold")
    if boxes is not None:
        table.add_column("left, top, right, bottom")
    table.add_column("file", overflow="fold")
    for i, hit in enumerate(hits):
        where = [" ".join(f"{at:.2f}" for at in boxes[i])] if boxes is not None else []
        table.add_row(
            f"{hit.similarity:.3f}",
            str(hit.id),
            escape(hit.label or ""),
            *where,
            escape(printable(hit.name)),
            style="dim" if weak else None,
        )
    return table


def _write_page(
    opened: Gallery,
    query: str,
    first: int | Path | None,
    hits: Sequence[Hit],
    *,
    page: Path | None,
    open_it: bool,
    box: Box | None,
    boxes: Sequence[Box] | None,
) -> None:
    from featurelens.web.results_page import write_results_page

    target = page or opened.folder / "results.html"
    write_results_page(target, opened, query, first, hits, box=box, boxes=boxes)
    notice(f"Page: {target}")
    if open_it:
        import webbrowser

        if not webbrowser.open(target.resolve().as_uri()):
            notice("No browser could be started here; open the page by hand.")
