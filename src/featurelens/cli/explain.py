"""`featurelens explain`: what in an image made the network answer, or why two images match."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from featurelens.cli.options import Device, Json
from featurelens.cli.places import RESULTS
from featurelens.cli.terminal import notice, print_json, say, show, waiting

if TYPE_CHECKING:
    from featurelens.see.explanation import Explanation


def explain(
    image: Annotated[Path, typer.Argument(help="The image to explain.")],
    against: Annotated[
        Path | None,
        typer.Option(help="Explain the similarity to this image instead of a class. Works without torch."),
    ] = None,
    text: Annotated[
        str | None,
        typer.Option(help="Explain where these words apply; the backbone must take text (clip:, openclip:)."),
    ] = None,
    backbone: Annotated[
        str | None,
        typer.Option(
            "--backbone",
            "-b",
            help="Network to use, by any name that 'featurelens index' takes. Default: embedded with --against, else "
            "resnet18.",
        ),
    ] = None,
    method: Annotated[
        str | None,
        typer.Option(
            help="grad-cam, layer-cam, integrated-gradients, saliency, input-x-gradient, smoothgrad, occlusion, "
            "attention-rollout, attention-gradient; similarity with --against. Default: similarity with "
            "--against, else grad-cam."
        ),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(help="Class number, or ImageNet name such as 'tabby'. Default: what the network sees."),
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="An option of the method, e.g. --set layer=layer3 --set steps=64; repeat for more."
        ),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Test how far the map can be trusted, and say it in words.")
    ] = False,
    out: Annotated[
        Path,
        typer.Option(help="The picture (.png); the raw map (.npz) and how it was made (.json) lie beside."),
    ] = RESULTS / "explain.png",
    pretrained: Annotated[
        bool, typer.Option(help="Load the trained weights; --no-pretrained needs no download.")
    ] = True,
    weights: Annotated[Path | None, typer.Option(help="Weights from a local file.")] = None,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Show where in IMAGE the network's answer comes from, where it and another one are alike, or where words apply."""
    if out.suffix.lower() != ".png":
        raise typer.BadParameter(f"'{out}' must end in .png", param_hint="--out")
    backbone = backbone or ("embedded" if against or text is not None else "resnet18")
    if text is not None:
        if against or target or check or option or method not in (None, "similarity"):
            raise typer.BadParameter("it goes with --backbone and --out only", param_hint="--text")
        _words(image, text, backbone, out, as_json, pretrained=pretrained, weights=weights, device=device)
        return
    method = method or ("similarity" if against else "grad-cam")
    if against is not None and target is not None:
        raise typer.BadParameter("give a class (--target) or another image (--against), not both")
    if method == "similarity":
        if against is None:
            raise typer.BadParameter("the method similarity needs another image: --against OTHER")
        if check or option:
            raise typer.BadParameter("--check and --set belong to the other methods, e.g. --method grad-cam")
        _match(image, against, backbone, out, as_json, pretrained=pretrained, weights=weights, device=device)
        return
    from featurelens.backbone import load_backbone
    from featurelens.see.explanation import explain as explain_image
    from featurelens.see.explanation import with_gradients
    from featurelens.see.read_pixels import read_pixels
    from featurelens.see.targets import likeness

    engine = "auto" if backbone == "embedded" else "torch"
    loaded = load_backbone(
        backbone, engine=engine, device=device, pretrained=pretrained, weights=weights, say=say
    )
    network = with_gradients(loaded, method)
    goal: Any = target
    if against is not None:
        goal = likeness(network, read_pixels(against, network.spec.fit), name=against.name)
    with waiting(f"Asking the network: {method}{' and its checks' if check else ''}"):
        found = explain_image(
            network, image, method=method, target=goal, check=check, **_options(option or [])
        )
    written = found.save(out)
    if as_json:
        print_json(found.how() | {"files": written})
        return
    _print(found, written)


def _match(image: Path, against: Path, backbone: str, out: Path, as_json: bool, **loading: Any) -> None:
    from featurelens.backbone import load_backbone
    from featurelens.see.match import similarity

    found = similarity(load_backbone(backbone, say=say, **loading), image, against)
    written = found.save(out)
    if as_json:
        print_json(found.how() | {"files": written})
        return
    rest = max(found.residual, key=abs)
    rows = [("similarity", f"{found.cosine:.3f}"), ("by regions", _KINDS[found.kind])]
    if found.kind != "split":
        rows.append(("not by regions", f"{rest:+.3f}"))
    _table([*rows, ("backbone", found.backbone)], written)


def _words(image: Path, text: str, backbone: str, out: Path, as_json: bool, **loading: Any) -> None:
    from featurelens.backbone import load_backbone
    from featurelens.see import text_similarity

    found = text_similarity(load_backbone(backbone, say=say, **loading), image, text)
    written = found.save(out)
    if as_json:
        print_json(found.how() | {"files": written})
        return
    rows = [("similarity", f"{found.cosine:.3f}"), ("by regions", _KINDS[found.kind])]
    _table([*rows, ("backbone", found.backbone)], written)


_KINDS = {
    "split": "both maps sum to the similarity",
    "left out": "even share, plus what the similarity loses without the region",
    "map only": "of the maps' means; the embedding is made from more than the map",
    "covered": "what the similarity loses when the region is painted over",
}


def _print(found: Explanation, written: list[Path]) -> None:
    rows = [("explained", found.target), ("score", f"{found.score:.4g}"), ("method", found.method)]
    if found.layer:
        rows.append(("layer", found.layer))
    if "gap" in found.facts:
        state = "adds up" if found.facts["complete"] else "does not add up"
        rows.append(
            ("completeness", f"{state}: gap {100 * found.facts['gap']:.2g} %, {found.facts['steps']} steps")
        )
    if found.trust is not None:
        rows.append(("verdict", found.trust.words))
    _table([*rows, ("backbone", found.backbone)], written)
    if found.trust is None:
        notice("How far to trust it: add --check.")
    elif found.trust.level != "good" and found.settings.get("baseline") == "black":
        notice("A black baseline does not see what is dark in the image; try --set baseline=blur.")


def _table(rows: list[tuple[str, str]], written: list[Path]) -> None:
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(justify="left", style="dim")
    table.add_column(overflow="fold")
    for name, value in [*rows, *(("wrote", str(path)) for path in written)]:
        table.add_row(name, escape(value))
    show(table)


def _options(given: list[str]) -> dict[str, Any]:
    """`name=value` texts as keyword options: whole numbers, numbers or text; a layer's name is text, also "3"."""
    found: dict[str, Any] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise typer.BadParameter(f"'{text}' is not NAME=VALUE, e.g. steps=64", param_hint="--set")
        name, value = name.strip().replace("-", "_"), value.strip()
        found[name] = value if name == "layer" else _value(value)
    return found


def _value(text: str) -> int | float | str:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
