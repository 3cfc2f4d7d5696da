"""`featurelens index`: make or update the gallery of a folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from featurelens.cli.options import Device, Json, OptionalBackboneName
from featurelens.cli.terminal import notice, print_json, progress_bar, quoted
from featurelens.wording import count, printable

if TYPE_CHECKING:
    from featurelens.search import Gallery, UpdateReport


def index(
    images: Annotated[
        list[str],
        typer.Argument(
            help="Folder of images, any depth. For a Lance table also an address (s3://...), tar shards, Parquet."
        ),
    ],
    backbone: OptionalBackboneName = None,
    at: Annotated[
        str | None,
        typer.Option(
            "--at",
            "--gallery",
            "-g",
            help="Where the gallery lies: a folder, or a Lance table for many machines (NAME.lance, "
            "s3://BUCKET/NAME.lance). Default: .featurelens in the folder.",
        ),
    ] = None,
    on: Annotated[
        str | None,
        typer.Option(
            help="ray, or ray:ADDRESS: let the machines of a Ray cluster do it, into a Lance table."
        ),
    ] = None,
    keep_old: Annotated[
        str | None,
        typer.Option(
            help="With another --backbone, of a table: fill it anew, and keep what it held as TABLE@NAME."
        ),
    ] = None,
    device: Device = "auto",
    exact: Annotated[
        bool, typer.Option(help="Decode and resize bit for bit as Pillow does; slower.")
    ] = False,
    max_pixels: Annotated[
        int, typer.Option(help="Skip images of more pixels (a guard against decompression bombs).")
    ] = 100_000_000,
    batch_size: Annotated[int, typer.Option(help="Images per call of the network.")] = 32,
    workers: Annotated[
        int | None, typer.Option(help="Decoding threads. Default: the cores that are free to use.")
    ] = None,
    show_skipped: Annotated[
        bool, typer.Option("--show-skipped", help="List every file that is not indexed, with its reason.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Index a folder of images; run it again to update (only new and changed files cost work).

    With --backbone clap:REPO or clap:DIR a folder of sounds.
    """
    from featurelens.cli.galleries import names_a_table, open_or_create

    if on is not None and on != "ray" and not on.startswith("ray:"):
        raise typer.BadParameter(f"'{on}' is not known; give ray or ray:ADDRESS", param_hint="--on")
    if on is not None and (at is None or not names_a_table(at)):
        raise typer.BadParameter(
            "many machines write into a Lance table; name one: --gallery NAME.lance", param_hint="--on"
        )

    if keep_old is not None:
        if at is None or backbone is None or not names_a_table(at):
            raise typer.BadParameter(
                "it needs a table and the new backbone: --gallery NAME.lance --backbone NETWORK",
                param_hint="--keep-old",
            )
        from featurelens.cli.galleries import renew_for

        renew_for(images, at, backbone, before=keep_old, device=device)
    gallery = open_or_create(
        images, backbone=backbone, at=at, device=device, exact=exact, max_pixels=max_pixels
    )
    with gallery:
        with progress_bar("Indexing", unit=gallery.spec.things) as advance:
            how: dict[str, Any] = {
                "batch_size": batch_size,
                "on_progress": lambda p: advance(p.done, p.total, p.failed),
            }
            if on is None:
                report = gallery.update(workers=workers, **how)
            else:
                from featurelens.scale import update_on_ray

                report = update_on_ray(gallery, address=on[4:] or None, device=device, **how)
        skipped = gallery.skipped() if show_skipped else None
        if as_json:
            result = {"gallery": gallery.address, "backbone": gallery.spec.name, "images": len(gallery)}
            listed = {"skipped_files": [{"name": n, "reason": r} for n, r in skipped]} if skipped else {}
            print_json({**result, "update": report, **listed})
            return
        _print(report, len(gallery), gallery, skipped)


def _print(report: UpdateReport, total: int, gallery: Gallery, skipped: list[tuple[str, str]] | None) -> None:
    work = {
        "added": report.added,
        "changed": report.changed,
        "moved": report.moved,
        "removed": report.removed,
        "unchanged": report.unchanged,
    }
    parts = [f"{count:,} {what}" for what, count in work.items() if count] or ["nothing to do"]
    things = gallery.spec.things
    print(f"{total:,} {things} in the gallery: {', '.join(parts)}.")
    if report.rate:
        print(f"{report.rate:,.{0 if report.rate >= 10 else 1}f} {things}/s, {report.seconds:.1f} s in all.")
    for note in report.notes:
        notice(printable(note), mark="Note:", style="yellow")
    if report.skipped:
        print(
            f"{count(report.skipped, 'file')} skipped"
            + ("" if skipped else "; --show-skipped lists them")
            + "."
        )
    for name, reason in skipped or ():
        print(f"  {printable(name)}: {reason}")
    one = {"images": "PHOTO", "sounds": "SOUND"}.get(things, "FILE")
    notice(f"Gallery: {printable(gallery.address)}")
    notice(f"Search it: featurelens search {one} --gallery {quoted(gallery.address)}")
