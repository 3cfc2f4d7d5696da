"""`featurelens concepts`: the few directions of which a gallery's features are made, each with its images."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from featurelens.cli.options import Device, Json
from featurelens.cli.terminal import notice, print_json, progress_bar, say, say_skipped, show
from featurelens.wording import printable

if TYPE_CHECKING:
    from featurelens.adapt.concepts import Concepts
    from featurelens.features.progress import OnProgress, Progress
    from featurelens.search import Gallery, Hit


def concepts(
    gallery: Annotated[
        Path | None,
        typer.Argument(
            help="Indexed folder, or its gallery folder. Default: the nearest one from here upwards."
        ),
    ] = None,
    count: Annotated[
        int | None,
        typer.Option(help="How many concepts to learn. Default: 64; of few vectors a quarter as many."),
    ] = None,
    active: Annotated[int, typer.Option(help="How many of them may speak for one image or place.")] = 4,
    of: Annotated[
        str, typer.Option(help="pooled: what whole images are about; patches: what places in them show.")
    ] = "pooled",
    top: Annotated[int, typer.Option(help="Images to show of each concept.")] = 9,
    steps: Annotated[int, typer.Option(help="Steps of learning, of 512 images or places each.")] = 500,
    seed: Annotated[int, typer.Option(help="Seed of the learning.")] = 0,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the concepts. Default: concepts in the gallery's folder.")
    ] = None,
    device: Device = "auto",
    open_page: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    as_json: Json = False,
) -> None:
    """Learn the concepts of a gallery without labels, and write a page with the images that fire each.

    Then search by one (featurelens search --concept 12), or lead a query along some (search IMAGE --concept 12:0.5
    --concept 7:-0.5). Needs the extra lab; searching with concepts does not. Where the gallery's backbone takes text,
    each gets a name as far as ordinary words fit.
    """
    from featurelens.cli.galleries import find_gallery
    from featurelens.search import Gallery
    from featurelens.web.learning import PAGE, learn_concepts

    if of not in ("pooled", "patches"):
        raise typer.BadParameter(f"'{of}' is neither pooled nor patches", param_hint="--of")
    _need_torch()
    folder = find_gallery(gallery, Path.cwd())
    with Gallery.open(folder, device=device, say=say) as opened:
        home = out or opened.folder / "concepts"
        with ExitStack() as bars:
            found = learn_concepts(
                opened,
                home,
                of=of,
                on_images=_bar(bars, "Looking", "images"),
                on_progress=_bar(bars, "Learning", "steps"),
                count=count,
                active=active,
                top=top,
                steps=steps,
                seed=seed,
            )
        page = home / PAGE
    if as_json:
        print_json(_told(found, home, page))
    else:
        _print(found)
    notice(f"Page: {page}")
    if open_page:
        import webbrowser

        if not webbrowser.open(page.resolve().as_uri()):
            notice("No browser could be started here; open the page by hand.")


def search_along(
    opened: Gallery,
    liked: Sequence[int | Path],
    disliked: Sequence[int | Path],
    home: Path | None,
    along: Mapping[int, float],
    limits: dict[str, Any],
) -> list[Hit]:
    """The hits of a query, of one picture or several or none, that is led along concepts."""
    from featurelens.adapt.concepts import Concepts
    from featurelens.search import feedback_vector

    found = Concepts.load(home or opened.folder / "concepts")
    found.check(opened.spec)
    if len(liked) > 1 or disliked:
        start = feedback_vector(opened, liked, less=disliked)
    else:
        start = opened.vector(liked[0]) if liked else None
    return opened.search(found.steer(start, along), **limits)


def _need_torch() -> None:
    from importlib.util import find_spec

    from featurelens.errors import MissingExtra

    if find_spec("torch") is None:
        raise MissingExtra("torch", "lab", "Learning concepts")


def _bar(bars: ExitStack, title: str, unit: str) -> OnProgress:
    """A bar that comes with its first step and takes the place of the one before: only one is shown at a time."""
    advance: Callable[..., None] | None = None

    def tell(progress: Progress) -> None:
        nonlocal advance
        if advance is None:
            bars.close()
            advance = bars.enter_context(progress_bar(title, unit=unit))
        advance(progress.done, progress.total, progress.failed)

    return tell


def _told(found: Concepts, home: Path, page: Path) -> dict[str, Any]:
    from featurelens.adapt.concepts.saved import listed

    return {
        "concepts": home,
        "page": page,
        "backbone": found.spec.name,
        "of": found.of,
        "images": found.images,
        "vectors": found.vectors,
        "explained": found.explained,
        "fired": found.fired,
        "dead": found.dead,
        "searchable": found.searchable,
        "skipped": [{"image": name, "reason": reason} for name, reason in found.skipped],
        "found": listed(found),
    }


def _print(found: Concepts) -> None:
    from rich.markup import escape
    from rich.table import Table

    from featurelens.web.concepts_page import agreed, by_frequency

    labelled = any(e.label for one in found.concepts for e in one.exemplars)
    named = any(one.name for one in found.concepts)
    table = Table(box=None, pad_edge=False)
    table.add_column("concept", justify="right")
    table.add_column("images", justify="right")
    for title in ["name"] * named + ["label of half or more"] * labelled:
        table.add_column(title, overflow="fold")
    table.add_column("the strongest", overflow="fold")
    for one in by_frequency(found):
        most = agreed(one)
        more = [escape(one.name or "")] * named
        more += [f"{escape(printable(most[0]))} {most[1]}/{len(one.exemplars)}" if most else ""] * labelled
        files = ", ".join(printable(e.image) for e in one.exemplars[:2]) or "never fires"
        table.add_row(
            str(one.number),
            f"{100 * one.frequency:.1f} %",
            *more,
            escape(files),
            style="dim" if one.dead else None,
        )
    show(table)
    what = "places" if found.of == "patches" else "vectors"
    notice(
        f"{len(found)} concepts of {found.vectors:,} {what} of {found.images:,} images; {found.fired:.1f} at a time make "
        f"{100 * found.explained:.0f} % of the variance again; {len(found.dead)} never fire."
    )
    say_skipped(found.skipped)
    if not found.searchable:
        say(
            "One can't search along these: the map's mean is not the network's vector. --of pooled makes such concepts."
        )
