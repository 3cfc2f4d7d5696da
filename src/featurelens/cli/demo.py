"""`featurelens demo`: the whole main job on photos that come with scikit-image and scikit-learn."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from featurelens.cli.terminal import notice, print_json, progress_bar, quoted, show
from featurelens.wording import printable

if TYPE_CHECKING:
    from featurelens.search import Gallery, Hit


def demo(
    images: Annotated[
        Path | None, typer.Option(help="Use this folder of yours instead of the demo photos.")
    ] = None,
    at: Annotated[Path, typer.Option(help="Where the demo photos are put.")] = Path("demo-gallery"),
    k: Annotated[int, typer.Option("-k", "--k", help="How many images to show.")] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout.")] = False,
) -> None:
    """Index a folder, search it, and show how to go on; offline, with the embedded backbone."""
    from featurelens.cli.galleries import open_or_create
    from featurelens.cli.search import hits_table
    from featurelens.web.results_page import write_results_page

    folder = images or _demo_photos(at)
    gallery = open_or_create(folder, backbone=None, at=None)
    with gallery:
        with progress_bar("Indexing") as advance:
            report = gallery.update(on_progress=lambda p: advance(p.done, p.total, p.failed))
        if len(gallery) == 0:
            notice(f"No image could be indexed in {folder}. Try another: make demo IMAGES=DIR")
            raise typer.Exit(1)
        query = _a_query(gallery)
        hits = [hit for hit in gallery.search(query.id, k=k + 1) if hit.id != query.id][:k]
        right = _right_first(gallery) if images is None else None
        page = gallery.folder / "demo.html"
        write_results_page(page, gallery, query.name, query.id, hits)
        if as_json:
            print_json({"gallery": gallery.folder, "update": report, "query": query.name, "hits": hits,
                        "right_photo_first": right, "page": page})  # fmt: skip
            return
        print(f"{len(gallery):,} images indexed in {report.seconds:.1f} s with {gallery.spec.name}.")
        print(f"\nMost like {printable(query.name)}:\n")
        show(hits_table(hits))
        if right is not None:
            print(
                f"\nEach photo was cut into crops under changed light. Of {len(gallery)} crops as the query, "
                f"{right:.1%} find another crop of their own photo first."
            )
        _how_to_go_on(folder, query.name, page)


def _demo_photos(at: Path) -> Path:
    from featurelens.images.samples import make_samples

    notice(f"Cutting the demo photos into {at}")
    make_samples(at)
    return at


def _a_query(gallery: Gallery) -> Hit:
    """A picture that shows the search well: the coffee cup of the demo photos, else the middle one by name."""
    images = gallery.images()
    cups = [image for image in images if image.name.startswith("coffee/")]
    return cups[0] if cups else images[len(images) // 2]


def _right_first(gallery: Gallery) -> float:
    """The share of crops whose nearest other crop is of the same photo (the photo is the folder's name)."""
    import numpy as np

    features = gallery.features()
    near = features.vectors @ features.vectors.T
    np.fill_diagonal(near, -np.inf)
    photo = np.array([name.split("/")[0] for name in features.ids])
    return float((photo[near.argmax(1)] == photo).mean())


def _how_to_go_on(folder: Path, query: str, page: Path) -> None:
    print(
        f"\nSee it:          {page.resolve().as_uri()}"
        f"\nSearch again:    .venv/bin/featurelens search {quoted(folder / query)} --open"
        f"\nIn the browser:  .venv/bin/featurelens serve {quoted(folder)} --open"
        "\nYour own photos: make demo IMAGES=~/Pictures"
        "\n             or: .venv/bin/featurelens index ~/Pictures"
        "\nAll commands:    .venv/bin/featurelens --help"
    )
