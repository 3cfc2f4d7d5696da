"""The page of before and after: figures with intervals, the layers, and the same units' pictures side by side."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from featurelens.backbone.torch_backbone import TorchBackbone
from featurelens.durable import write_file
from featurelens.see.maximization import maximize


def write_page(
    found: dict[str, Any], units: Sequence[tuple[str, int, float]], nets: tuple[TorchBackbone, TorchBackbone], out: Path,
    *, count: int, steps: int, seed: int, on_progress: Callable[..., None],
) -> Path:  # fmt: skip
    """Draw the units' pictures with both networks, then write everything into `out`; returns the page.

    It shows the first `count` units that a picture drives in both networks.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    out.mkdir(parents=True, exist_ok=True)
    found["units"] = (
        _draw(units, nets, out, steps=steps, seed=seed, on_progress=on_progress)[:count] if units else []
    )
    write_file(out / "changes.json", lambda file: file.write((json.dumps(found, indent=2) + "\n").encode()))
    pages = Environment(loader=PackageLoader("featurelens.cli"), autoescape=True, undefined=StrictUndefined)
    text = pages.get_template("changes.html.j2").render(
        found={"forgetting": None, **found},
        before=_short(found["before"]),
        after=_short(found["after"]),
        images=_short(found["images"]),
        other=_short(found.get("other", "")),
        units=[one | {"pictures": [_inline(out / file) for file in one["files"]]} for one in found["units"]],
    )
    page = out / "changes.html"
    write_file(page, lambda file: file.write(text.encode("utf-8", "backslashreplace")))
    return page


def _draw(
    units: Sequence[tuple[str, int, float]], nets: Sequence[TorchBackbone], out: Path, *, steps: int, seed: int,
    on_progress: Callable[..., None],
) -> list[dict[str, Any]]:  # fmt: skip
    wanted = [f"{layer}:{unit}" for layer, unit, _ in units]
    total, sides = 2 * len(wanted) * steps, []
    for number, net in enumerate(nets):
        before = number * len(wanted) * steps
        sides.append(
            maximize(
                net,
                wanted,
                steps=steps,
                seed=seed,
                on_progress=lambda p, b=before: on_progress(b + p.done, total),
            )
        )
    rows = []
    for i, (layer, unit, correlation) in enumerate(units):
        if not all(made[i].alive for made in sides):
            continue  # it never answered, so its picture is the noise that the climb began from
        files = [f"{layer.replace('.', '-')}-{unit}-{side}.png" for side in ("before", "after")]
        for file, made in zip(files, sides, strict=True):
            _png(out / file, made[i].pixels)
        rows.append({"layer": layer, "unit": unit, "correlation": correlation, "files": files})
    return rows


def _png(path: Path, pixels: Any) -> None:
    from PIL import Image

    write_file(path, lambda file: Image.fromarray(pixels).save(file, "PNG"))


def _inline(path: Path) -> str:
    return f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}"


def _short(name: str) -> str:
    """The last part of a path that says something."""
    parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", "bundle")]
    return parts[-1] if parts else name
